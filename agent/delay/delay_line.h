// The delay line: a thread that takes packets from a TAP, does to each what its rules say, keeps it
// for as long, and writes it back. bpf/delay.bpf.h hands them over and takes them back; hf_parcel,
// in front of each, says what is to be done.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "agent/delay/delay_statistics.h"
#include "agent/delay/frame.h"
#include "agent/delay/line_rule.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace holdfast::agent {

struct DelayLineOptions {
  // Packets are read from here and written here, one for each call; non-blocking. The line owns it.
  UniqueFd tap;
  LineRules rules;
  // Called by the line's thread several times within kHeartbeat: until this moment (nanoseconds,
  // CLOCK_MONOTONIC) packets may be handed over.
  std::function<void(std::uint64_t deadline_ns)> beat;
  std::uint64_t seed = 0;
  // What may be kept at a time. Packets beyond it leave undelayed.
  std::size_t most_bytes = std::size_t{1} << 30;
};

class DelayLine {
 public:
  // How long a line that stopped goes on being handed packets. Below what issue and design allow
  // (100 ms) by a tick of the coarsest kernel.
  static constexpr Duration kHeartbeat = std::chrono::milliseconds(80);

  // What the line made of a rule's packets.
  struct Results {
    DelaySummary delays;
    Duration lateness_p99{};       // 99 in 100 left at most so much after they were due
    std::uint64_t overflowed = 0;  // packets that left undelayed, since too many bytes were kept
    std::uint64_t lost = 0;        // packets that the kernel did not take back
    std::uint64_t corrupted = 0;   // packets that were changed
    // Of a bandwidth: packets that had to wait for others, and those that found the queue full.
    std::uint64_t queued = 0, dropped_packets = 0, dropped_bytes = 0;
    double bits_per_second = 0;  // that passed while packets waited; 0 where none did
  };

  // Errors: io.
  static Result<std::unique_ptr<DelayLine>> start(DelayLineOptions options);
  ~DelayLine();
  DelayLine(const DelayLine&) = delete;
  DelayLine& operator=(const DelayLine&) = delete;

  // From now on the rule delays, and from `deadline_ns` (CLOCK_MONOTONIC) on it does no more: what
  // is kept for it leaves then at the latest.
  void begin(std::size_t rule, std::uint64_t deadline_ns);
  // The same, now. Returns when what was kept for the rule has left.
  void end(std::size_t rule);
  // What the rule does from now on, with packets that come later; of the same kind as before.
  void retune(std::size_t rule, const LineRule& params);

  // Writes everything back at once, in order, and ends. The line is of no more use but for what it
  // has counted.
  void finish();

  // Delays are measured from the arrival of a packet to its departure. Where several rules delayed
  // a packet, each counts its own share.
  Results results(std::size_t rule) const;

 private:
  struct Rule;
  struct Kept;
  class Flows;

  explicit DelayLine(DelayLineOptions options);
  void work();
  bool take_in(std::size_t most);
  Frame read_buffer();
  void take(Frame frame);
  void keep(Frame frame, const hf_parcel& parcel, const std::vector<Rule*>& rules);
  void let_go_due(std::uint64_t now);
  void let_go(Kept& kept, std::uint64_t now);
  bool write_back(const Kept& kept);
  void let_go_all();
  void obey();
  void wait(std::uint64_t now);
  void spin(std::uint64_t departure);

  DelayLineOptions options_;
  UniqueFd wake_;
  std::map<std::size_t, std::unique_ptr<Rule>> rules_;

  // Of the thread alone.
  std::mt19937_64 random_;
  std::vector<Kept> queue_;  // a heap, the earliest departure first
  std::unique_ptr<Flows> flows_;
  std::vector<Frame> spare_;  // as large as buffer_, used before: their pages are there
  Frame buffer_;              // that the next packet is read into
  std::uint64_t sequence_ = 0;
  std::size_t kept_bytes_ = 0;
  std::uint64_t next_beat_ = 0;
  std::uint64_t early_ns_ = 0;       // how much before a departure to wake up
  std::uint64_t may_spin_from_ = 0;  // not again before then

  // What the thread is asked to do.
  std::mutex mutex_;
  std::condition_variable obeyed_;
  std::vector<std::size_t> ending_;
  LineRules retuned_;
  std::uint64_t asked_ = 0, done_ = 0;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace holdfast::agent
