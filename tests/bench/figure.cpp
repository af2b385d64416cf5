#include "tests/bench/figure.h"

namespace holdfast::bench {

std::string_view to_string(Statistic statistic) {
  return statistic == Statistic::median ? "median" : "p99";
}

std::optional<bool> Figure::met() const {
  if (!target) {
    return std::nullopt;
  }
  const Summary all = summary();
  return (target->statistic == Statistic::median ? all.median : all.p99) <= target->at_most;
}

}  // namespace holdfast::bench
