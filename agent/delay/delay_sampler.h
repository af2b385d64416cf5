// Draws the delays of one rule in one direction, as a plan describes them.
#pragma once

#include <cstdint>
#include <random>

#include "common/plan.h"
#include "common/units.h"

namespace holdfast::agent {

// Correlated delays come from a Gaussian copula (Nelsen: An Introduction to Copulas, 2.3): an
// autoregressive series of normal numbers, mapped to the wanted distribution. The distribution
// stays exactly what was asked for, whatever the correlation; that is Spearman's, of the ranks of
// neighbouring delays.
class DelaySampler {
 public:
  DelaySampler(const plan::LatencyParams& params, std::uint64_t seed);
  // From now on by these parameters; the series of a correlation goes on.
  void retune(const plan::LatencyParams& params);
  // Never negative: what a distribution has below zero is no delay.
  Duration next();

 private:
  double next_normal(double& state);
  double deviation();  // in units of the jitter, from the mean

  plan::LatencyParams params_;
  double kept_ = 0, fresh_ = 1;  // shares of the last normal number and of a new one in the next
  double state_ = 0, other_state_ = 0;
  std::mt19937_64 engine_;
  std::normal_distribution<double> normal_;
};

}  // namespace holdfast::agent
