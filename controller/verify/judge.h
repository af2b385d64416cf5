// A query's result against a probe's tolerance.
#pragma once

#include "common/plan.h"
#include "controller/verify/probe_evaluator.h"
#include "controller/verify/sample.h"

namespace holdfast::verify {

// Every sample must satisfy the tolerance.
// - miss: at least one number does not, whatever the others are. The deciding sample is the one
//   farthest from the bound.
// - no_data: no sample at all; a warning of the server (the result may be a part of the truth); a
//   type without numbers; or no miss, but a sample that is NaN, infinite or a native histogram. An
//   infinite number can miss, but never satisfy: it comes from a division by zero more often than
//   from a service that does infinitely well.
// - ok: else. The deciding sample is the one nearest to the bound.
// How old the samples are is not in a result: see freshness.h.
Evaluation judge(const QueryResult& result, const plan::Tolerance& tolerance);

}  // namespace holdfast::verify
