// What delays came to: one thread records, any may look.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

#include "common/units.h"

namespace holdfast::agent {

// A summary of recorded durations. Quantiles are exact to 1/128; all zero where there is none.
struct DelaySummary {
  std::uint64_t packets = 0;
  Duration mean{}, standard_deviation{}, least{}, median{}, p99{}, most{};
};

// A histogram whose buckets grow with their values (as HdrHistogram's do), and moments.
class DelayStatistics {
 public:
  void record(Duration value);
  DelaySummary summary() const;

 private:
  // Values below 2^8 have a bucket each, and each octave above it 128.
  static constexpr int kPrecisionBits = 7;
  static constexpr std::size_t kBuckets = (64 - kPrecisionBits + 1) << kPrecisionBits;
  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t middle_of(std::size_t bucket);
  Duration quantile(double share) const;

  mutable std::mutex mutex_;
  std::array<std::uint32_t, kBuckets> counts_{};
  std::uint64_t packets_ = 0;
  double mean_ = 0, squares_ = 0;  // Welford's: no difference of large sums
  std::uint64_t least_ = 0, most_ = 0;
};

}  // namespace holdfast::agent
