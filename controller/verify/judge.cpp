#include "controller/verify/judge.h"

#include <fmt/format.h>

#include <cmath>

namespace holdfast::verify {
namespace {

Evaluation no_data(std::string detail) {
  return {Status::no_data, std::nullopt, std::move(detail)};
}

// The samples of a result by what they say, each kind with the one that is shown.
struct Tally {
  std::size_t missing = 0;
  const Sample* worst = nullptr;
  std::size_t unusable = 0;
  const Sample* first_unusable = nullptr;
  const Sample* nearest = nullptr;
};

Tally tally(const QueryResult& result, const plan::Tolerance& tolerance) {
  const auto distance = [&](const Sample& sample) {
    return std::abs(sample.value - tolerance.bound);
  };
  Tally tally;
  for (const Sample& sample : result.samples) {
    const bool number = !sample.histogram && !std::isnan(sample.value);
    if (number && !tolerance.admits(sample.value)) {
      ++tally.missing;
      // The order of samples is the server's whim; labels make equal ones comparable from one
      // evaluation to the next.
      if (tally.worst == nullptr || distance(sample) > distance(*tally.worst) ||
          (distance(sample) == distance(*tally.worst) && sample.labels < tally.worst->labels)) {
        tally.worst = &sample;
      }
    } else if (!number || std::isinf(sample.value)) {
      ++tally.unusable;
      tally.first_unusable = tally.first_unusable == nullptr ? &sample : tally.first_unusable;
    } else if (tally.nearest == nullptr || distance(sample) < distance(*tally.nearest)) {
      tally.nearest = &sample;
    }
  }
  return tally;
}

std::string count_words(std::size_t some, std::size_t all, std::string_view verb,
                        std::string_view verbs) {
  return fmt::format("{} of {} samples {}", some, all, some == 1 ? verb : verbs);
}

Evaluation judge_miss(const Tally& tally, std::size_t all, const plan::Tolerance& tolerance) {
  const std::string shown =
      fmt::format("{} is {}", describe(tally.worst->labels), format_value(tally.worst->value));
  if (all == 1) {
    return {Status::miss, tally.worst->value, fmt::format("{}, not {}", shown, tolerance.text())};
  }
  return {Status::miss, tally.worst->value,
          fmt::format("{} {}; {}{}", count_words(tally.missing, all, "misses", "miss"),
                      tolerance.text(), tally.missing > 1 ? "the worst: " : "", shown)};
}

Evaluation judge_unusable(const Tally& tally, std::size_t all) {
  const Sample& sample = *tally.first_unusable;
  const std::string value =
      sample.histogram ? "a native histogram, not a number" : format_value(sample.value);
  const std::string shown = fmt::format("{} is {}", describe(sample.labels), value);
  if (all == 1) {
    return no_data(shown);
  }
  return no_data(fmt::format("{} no usable number; {}{}",
                             count_words(tally.unusable, all, "has", "have"),
                             tally.unusable > 1 ? "the first: " : "", shown));
}

}  // namespace

Evaluation judge(const QueryResult& result, const plan::Tolerance& tolerance) {
  if (result.type != QueryResult::Type::scalar && result.type != QueryResult::Type::vector) {
    return no_data(fmt::format("the query gives a {}; a probe needs a scalar or an instant vector",
                               to_string(result.type)));
  }
  if (!result.warnings.empty()) {
    return no_data(fmt::format("the server warns: {}", result.warnings.front()));
  }
  if (result.samples.empty()) {
    return no_data("empty result: no series matches the query");
  }
  const Tally seen = tally(result, tolerance);
  const std::size_t all = result.samples.size();
  if (seen.missing > 0) {
    return judge_miss(seen, all, tolerance);
  }
  if (seen.unusable > 0) {
    return judge_unusable(seen, all);
  }
  const std::string shown =
      fmt::format("{} is {}", describe(seen.nearest->labels), format_value(seen.nearest->value));
  return {Status::ok, seen.nearest->value,
          all == 1
              ? shown
              : fmt::format("all {} samples {}; the nearest: {}", all, tolerance.text(), shown)};
}

}  // namespace holdfast::verify
