// What a set of measurements comes to: order statistics, no means. A shared machine now and then
// takes the processor away, and one such sample would move a mean anywhere.
#pragma once

#include <cstddef>
#include <vector>

namespace holdfast::bench {

struct Summary {
  double min = 0, p10 = 0, median = 0, p90 = 0, p99 = 0, max = 0;
};

// The smallest sample that at least `share` (0 to 1) of all samples do not exceed: always one that
// was measured. Of no samples: NaN.
double percentile(std::vector<double> samples, double share);

// Of no samples: all NaN.
Summary summarize(std::vector<double> samples);

}  // namespace holdfast::bench
