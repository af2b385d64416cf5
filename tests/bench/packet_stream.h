// A steady stream of numbered UDP packets over a test network's cable, and which of them arrived.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "common/result.h"
#include "common/unique_fd.h"
#include "tests/support/test_network.h"

namespace holdfast::bench {

inline constexpr std::uint16_t kStreamPort = 7001;

class PacketStream {
 public:
  using Clock = std::chrono::steady_clock;

  // Sends `per_second` packets a second from near to far until stop(), for at most two minutes.
  static Result<std::unique_ptr<PacketStream>> start(const test::TestNetwork& network,
                                                     int per_second);
  ~PacketStream();
  PacketStream(const PacketStream&) = delete;
  PacketStream& operator=(const PacketStream&) = delete;

  std::uint64_t sent() const { return sent_.load(std::memory_order_acquire); }
  // Packets that have arrived by now; reads them.
  std::uint64_t received();
  // The number of the newest packet that has arrived by now, plus 1; 0: none has.
  std::uint64_t newest_received();
  void stop();

  // After stop(). Numbers of packets that never arrived.
  std::vector<std::uint64_t> lost();
  // When the sending of this packet was over: it was dropped or delivered by then.
  Clock::time_point sent_at(std::uint64_t number) const { return sent_at_.at(number); }

 private:
  PacketStream(UniqueFd sender, UniqueFd receiver, int per_second);
  void send_all(const std::stop_token& stop);
  void drain();

  UniqueFd sender_, receiver_;
  std::chrono::nanoseconds interval_;
  std::vector<Clock::time_point> sent_at_;
  std::vector<bool> arrived_;
  std::uint64_t arrivals_ = 0, newest_ = 0;
  std::atomic<std::uint64_t> sent_ = 0;
  std::jthread thread_;
};

}  // namespace holdfast::bench
