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

  // So far: no_data while nothing was evaluated at all; misses below the threshold are none.
  verify::Status status() const;
  // Whether more evaluations could still tell whether it holds: one was ok, or the threshold was
  // reached.
  bool decided() const { return missed_ || blind_ || was_ok_; }
  // Of a phase that is over. Where no evaluation at all was ok it says nothing, however few they
  // were for the threshold: that is never a pass.
  struct Outcome {
    verify::Status status = verify::Status::no_data;
    std::string detail;
  };
  Outcome outcome() const;
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
  bool missed_ = false, blind_ = false, was_ok_ = false;
  std::string detail_, latest_;
};

}  // namespace holdfast
