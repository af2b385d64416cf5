// A link of some rate with a queue before it, in virtual time: it says when a packet has passed,
// and which find the queue full. Nothing waits here; the delay line keeps the packets until then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "common/plan.h"

namespace holdfast::agent {

// The generic cell rate algorithm (ITU-T I.371, virtual scheduling): each packet moves the moment
// at which the link is free by the time that its bytes take. Times are nanoseconds on
// CLOCK_MONOTONIC. A packet leaves when its last bit has been sent, unless the burst has room for
// it.
class RateLimiter {
 public:
  explicit RateLimiter(const plan::BandwidthParams& params) : params_(params) {}
  // What is queued keeps its place; what comes from now on goes by the new rate.
  void retune(const plan::BandwidthParams& params) { params_ = params; }

  struct Admission {
    std::uint64_t departure_ns = 0;
    bool queued = false;   // there were others before it
    bool dropped = false;  // the queue was full
  };
  // `flow` tells connections apart where each has a link of its own.
  Admission admit(std::uint64_t flow, std::uint64_t arrival_ns, std::uint64_t bytes);

  // A packet that was queued has left: what the measured rate is made of.
  void departed(std::uint64_t flow, std::uint64_t now_ns, std::uint64_t bytes, bool queued);
  // Of what passed while there was a queue, bits in a second; 0 where there never was one.
  double measured_rate() const;

  // So many bytes may leave together: what the link sends in a millisecond, or the burst.
  std::uint64_t together() const;

 private:
  struct Link {
    std::uint64_t free_ns = 0;  // when all that was admitted has been sent
    std::uint64_t departed_ns = 0;
  };
  Link& link_of(std::uint64_t flow, std::uint64_t now_ns);
  double nanoseconds(std::uint64_t bytes) const;

  plan::BandwidthParams params_;
  Link shared_;
  std::unordered_map<std::uint64_t, Link> links_;
  std::size_t swept_at_ = 1024;
  double busy_bits_ = 0, busy_ns_ = 0;
};

}  // namespace holdfast::agent
