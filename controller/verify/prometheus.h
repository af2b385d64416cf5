// Probes evaluated by a Prometheus server through its HTTP API v1
// (https://prometheus.io/docs/prometheus/latest/querying/api/).
#pragma once

#include <memory>

#include "controller/verify/probe_evaluator.h"

namespace holdfast::verify {

// An evaluator that queries the server of `config` from the calling thread. Where config.netns is
// set, the calling thread enters that network namespace and stays in it: call from a thread made
// for it. Errors: usage (unreadable credential or CA file), not_found (no such namespace),
// permission.
Result<std::unique_ptr<ProbeEvaluator>> make_prometheus_evaluator(
    const plan::PrometheusConfig& config);

}  // namespace holdfast::verify
