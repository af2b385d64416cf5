#include "controller/probe_watch.h"

#include <fmt/format.h>

namespace holdfast {

void ProbeWatch::add(const verify::Evaluation& evaluation, double at) {
  ++evaluations_;
  latest_ = evaluation.detail;
  if (evaluation.status == verify::Status::ok) {
    was_ok_ = true;
    if (good_in_a_row_++ == 0) {
      good_since_ = at;
    }
    misses_in_a_row_ = bad_in_a_row_ = 0;
    if (!missed_ && !blind_) {
      detail_ = evaluation.detail;
    }
    return;
  }
  good_in_a_row_ = 0;
  ++bad_in_a_row_;
  misses_in_a_row_ = evaluation.status == verify::Status::miss ? misses_in_a_row_ + 1 : 0;
  if (misses_in_a_row_ >= threshold_ && !missed_) {
    missed_ = true;
    detail_ = evaluation.detail;
  } else if (bad_in_a_row_ >= threshold_ && !missed_ && !blind_) {
    blind_ = true;
    detail_ = evaluation.detail;
  }
}

void ProbeWatch::reset() {
  *this = ProbeWatch(threshold_);
}

verify::Status ProbeWatch::status() const {
  if (missed_) {
    return verify::Status::miss;
  }
  return blind_ || evaluations_ == 0 ? verify::Status::no_data : verify::Status::ok;
}

ProbeWatch::Outcome ProbeWatch::outcome() const {
  if (evaluations_ == 0) {
    return {verify::Status::no_data, "was not evaluated in this phase"};
  }
  if (!decided()) {
    return {verify::Status::no_data,
            fmt::format("{} evaluation{}, none of them ok, too few for a failure threshold of {}; "
                        "the last: {}",
                        evaluations_, evaluations_ == 1 ? "" : "s", threshold_, latest_)};
  }
  return {status(), detail_};
}

std::optional<double> ProbeWatch::steady_since() const {
  return good_in_a_row_ >= threshold_ ? std::optional(good_since_) : std::nullopt;
}

}  // namespace holdfast
