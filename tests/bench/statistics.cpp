#include "tests/bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace holdfast::bench {
namespace {

double at_share(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const auto count = static_cast<double>(sorted.size());
  // 0.99 * 100 is a little above 99 in binary, and must not become 100.
  const double rank = std::ceil(share * count - 1e-9);
  return sorted[static_cast<std::size_t>(std::clamp(rank, 1.0, count)) - 1];
}

}  // namespace

double percentile(std::vector<double> samples, double share) {
  std::sort(samples.begin(), samples.end());
  return at_share(samples, share);
}

Summary summarize(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return {.min = at_share(samples, 0),
          .p10 = at_share(samples, 0.10),
          .median = at_share(samples, 0.50),
          .p90 = at_share(samples, 0.90),
          .p99 = at_share(samples, 0.99),
          .max = at_share(samples, 1)};
}

}  // namespace holdfast::bench
