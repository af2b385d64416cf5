#include "agent/delay/rate_limiter.h"

#include <algorithm>
#include <cmath>

namespace holdfast::agent {

double RateLimiter::nanoseconds(std::uint64_t bytes) const {
  return static_cast<double>(bytes) * 8e9 / params_.bits_per_second;
}

RateLimiter::Link& RateLimiter::link_of(std::uint64_t flow, std::uint64_t now_ns) {
  if (!params_.per_connection) {
    return shared_;
  }
  if (links_.size() >= swept_at_) {
    std::erase_if(links_, [now_ns](const auto& link) { return link.second.free_ns < now_ns; });
    swept_at_ = std::max<std::size_t>(1024, 2 * links_.size());
  }
  return links_[flow];
}

RateLimiter::Admission RateLimiter::admit(std::uint64_t flow, std::uint64_t arrival_ns,
                                          std::uint64_t bytes) {
  Link& link = link_of(flow, arrival_ns);
  const auto burst_ns = static_cast<std::uint64_t>(nanoseconds(params_.burst));
  const std::uint64_t begins = std::max(link.free_ns, arrival_ns);
  const std::uint64_t waits = begins - arrival_ns > burst_ns ? begins - arrival_ns - burst_ns : 0;
  if (static_cast<double>(waits) > nanoseconds(params_.queue)) {
    return {.departure_ns = arrival_ns, .queued = true, .dropped = true};
  }
  link.free_ns = begins + static_cast<std::uint64_t>(std::llround(nanoseconds(bytes)));
  return {.departure_ns = std::max(arrival_ns, link.free_ns - std::min(burst_ns, link.free_ns)),
          .queued = waits > 0,
          .dropped = false};
}

void RateLimiter::departed(std::uint64_t flow, std::uint64_t now_ns, std::uint64_t bytes,
                           bool queued) {
  Link& link = link_of(flow, now_ns);
  if (queued && link.departed_ns > 0) {
    busy_bits_ += static_cast<double>(bytes) * 8;
    busy_ns_ += static_cast<double>(now_ns - std::min(link.departed_ns, now_ns));
  }
  link.departed_ns = now_ns;
}

double RateLimiter::measured_rate() const {
  return busy_ns_ > 0 ? busy_bits_ / busy_ns_ * 1e9 : 0;
}

std::uint64_t RateLimiter::together() const {
  return std::max(params_.burst, static_cast<std::uint64_t>(params_.bits_per_second / 8 / 1000));
}

}  // namespace holdfast::agent
