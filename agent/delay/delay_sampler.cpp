#include "agent/delay/delay_sampler.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace holdfast::agent {
namespace {

// Of Pareto's distribution. With 3 it has a mean (3/2) and a standard deviation (the root of 3/4).
constexpr double kParetoShape = 3;
const double kParetoMean = kParetoShape / (kParetoShape - 1);
const double kParetoDeviation = std::sqrt(kParetoShape / (kParetoShape - 2)) / (kParetoShape - 1);
// Paretonormal is one part normal and three parts Pareto.
constexpr double kNormalPart = 0.25;
constexpr double kParetoPart = 0.75;

double normal_probability(double z) {
  return 0.5 * std::erfc(-z / std::numbers::sqrt2);
}

// Of mean 0 and standard deviation 1.
double pareto(double z) {
  const double above = std::max(normal_probability(-z), 1e-300);
  return (std::pow(above, -1 / kParetoShape) - kParetoMean) / kParetoDeviation;
}

}  // namespace

DelaySampler::DelaySampler(const plan::LatencyParams& params, std::uint64_t seed) : engine_(seed) {
  retune(params);
  state_ = normal_(engine_);
  other_state_ = normal_(engine_);
}

void DelaySampler::retune(const plan::LatencyParams& params) {
  params_ = params;
  // From the correlation of ranks to that of the normal numbers behind them (Pearson 1907).
  kept_ = 2 * std::sin(std::numbers::pi / 6 * params.correlation);
  fresh_ = std::sqrt(1 - kept_ * kept_);
}

double DelaySampler::next_normal(double& state) {
  state = kept_ * state + fresh_ * normal_(engine_);
  return state;
}

double DelaySampler::deviation() {
  const double z = next_normal(state_);
  switch (params_.distribution) {
    case plan::LatencyParams::Distribution::fixed:
    case plan::LatencyParams::Distribution::table:
      return 0;
    case plan::LatencyParams::Distribution::uniform:
      return 2 * normal_probability(z) - 1;
    case plan::LatencyParams::Distribution::normal:
      return z;
    case plan::LatencyParams::Distribution::pareto:
      return pareto(z);
    case plan::LatencyParams::Distribution::paretonormal:
      return (kNormalPart * next_normal(other_state_) + kParetoPart * pareto(z)) /
             std::hypot(kNormalPart, kParetoPart);
  }
  return 0;
}

Duration DelaySampler::next() {
  using Distribution = plan::LatencyParams::Distribution;
  if (params_.distribution == Distribution::fixed) {
    return params_.delay;
  }
  if (params_.distribution == Distribution::table) {
    // Between two neighbours of the sorted table every value is as likely as another.
    const std::vector<Duration>& table = params_.table;
    const double place =
        normal_probability(next_normal(state_)) * static_cast<double>(table.size() - 1);
    const auto below = std::min(static_cast<std::size_t>(place), table.size() - 2);
    const auto step = static_cast<double>((table[below + 1] - table[below]).count());
    return table[below] + Duration(std::llround(step * (place - static_cast<double>(below))));
  }
  const double delay = static_cast<double>(params_.delay.count()) +
                       static_cast<double>(params_.jitter.count()) * deviation();
  // A Pareto tail has no end; a century is enough for every clock.
  return Duration(std::llround(std::clamp(delay, 0.0, 3e18)));
}

}  // namespace holdfast::agent
