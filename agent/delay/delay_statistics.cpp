#include "agent/delay/delay_statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace holdfast::agent {

std::size_t DelayStatistics::bucket_of(std::uint64_t value) {
  const int octave = std::max(static_cast<int>(std::bit_width(value)) - 1 - kPrecisionBits, 0);
  return (static_cast<std::size_t>(octave) << kPrecisionBits) + (value >> octave);
}

std::uint64_t DelayStatistics::middle_of(std::size_t bucket) {
  constexpr std::size_t kPerOctave = std::size_t{1} << kPrecisionBits;
  if (bucket < 2 * kPerOctave) {
    return bucket;
  }
  const std::size_t octave = (bucket >> kPrecisionBits) - 1;
  const std::uint64_t from = (bucket - (octave << kPrecisionBits)) << octave;
  return from + ((std::uint64_t{1} << octave) / 2);
}

void DelayStatistics::record(Duration value) {
  const auto ns = static_cast<std::uint64_t>(std::max<Duration::rep>(value.count(), 0));
  const std::lock_guard lock(mutex_);
  ++counts_[bucket_of(ns)];
  least_ = packets_ == 0 ? ns : std::min(least_, ns);
  most_ = std::max(most_, ns);
  ++packets_;
  const double from_mean = static_cast<double>(ns) - mean_;
  mean_ += from_mean / static_cast<double>(packets_);
  squares_ += from_mean * (static_cast<double>(ns) - mean_);
}

Duration DelayStatistics::quantile(double share) const {
  const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(packets_)));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    seen += counts_[bucket];
    if (seen >= wanted) {
      return Duration(static_cast<Duration::rep>(std::clamp(middle_of(bucket), least_, most_)));
    }
  }
  return Duration(static_cast<Duration::rep>(most_));
}

DelaySummary DelayStatistics::summary() const {
  const std::lock_guard lock(mutex_);
  if (packets_ == 0) {
    return {};
  }
  const double variance = squares_ / static_cast<double>(packets_);
  return {.packets = packets_,
          .mean = Duration(std::llround(mean_)),
          .standard_deviation = Duration(std::llround(std::sqrt(variance))),
          .least = Duration(static_cast<Duration::rep>(least_)),
          .median = quantile(0.5),
          .p99 = quantile(0.99),
          .most = Duration(static_cast<Duration::rep>(most_))};
}

}  // namespace holdfast::agent
