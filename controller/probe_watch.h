// How single evaluations become the outcome of a probe in one phase: the failure threshold.
#pragma once

#include <optional>
#include <string>

#include "common/plan.h"
#include "controller/verify/probe_evaluator.h"

namespace holdfast {

// Counts misses in a row. A miss is certain only after `threshold` misses in a row; as many
// evaluations in a row that were not ok, of whatever kind, mean that the probe says nothing. Once
// reached, either stays until reset(), and a miss outweighs missing data.
class ProbeWatch {
 public:
  explicit ProbeWatch(int threshold) : threshold_(threshold) {}

  void add(const verify::Evaluation& evaluation, double at);
  void reset();  // a new phase

  // no_data while nothing was evaluated at all.
  verify::Status status() const;
  // What the outcome rests on: the evaluation that decided it.
  const std::string& detail() const { return detail_; }
  // When the present row of ok evaluations began, if it is at least as long as the threshold.
  std::optional<double> steady_since() const;
  bool evaluated() const { return evaluations_ > 0; }

 private:
  int threshold_;
  int evaluations_ = 0;
  int misses_in_a_row_ = 0, bad_in_a_row_ = 0, good_in_a_row_ = 0;
  double good_since_ = 0;
  bool missed_ = false, blind_ = false;
  std::string detail_;
};

}  // namespace holdfast
