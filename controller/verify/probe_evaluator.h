// What a probe sees: the seam between the runner and Prometheus.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/plan.h"
#include "common/result.h"

namespace holdfast::verify {

// no_data is never a pass: no answer, an empty or stale or NaN sample, a warning of the server.
enum class Status { ok, miss, no_data };
std::string_view to_string(Status status);

// One evaluation of one probe.
struct Evaluation {
  Status status = Status::no_data;
  // Of the deciding sample: of those that miss the one farthest from the bound, else the nearest.
  std::optional<double> value;
  // One line for people: the deciding sample with its labels and value, or why there is no data.
  std::string detail;
};

// Evaluates probes. Not shared between threads: each thread makes its own (it may enter a network
// namespace).
class ProbeEvaluator {
 public:
  virtual ~ProbeEvaluator() = default;
  // Takes at most the configured timeout, a few times over. Never throws. `probe.tolerance` is
  // applied to every sample.
  virtual Evaluation evaluate(const plan::Probe& probe) = 0;
  // Asks the server whether the query is one it can parse. ErrorKind::usage: the server says that
  // it is not (its words in the message); ErrorKind::unavailable: could not ask.
  virtual Result<void> check_query(const plan::Probe& probe) = 0;
};

using EvaluatorFactory = std::function<Result<std::unique_ptr<ProbeEvaluator>>()>;

}  // namespace holdfast::verify
