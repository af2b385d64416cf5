// The verdict of a run, from what is known about it. Pure, and the only place where the order of
// verdicts is decided.
#pragma once

#include <string>

#include "controller/report/run_report.h"

namespace holdfast {

struct Judgement {
  report::Verdict verdict = report::Verdict::inconclusive;
  std::string reason;  // one sentence for a person
};

// How a run ended, beyond what stands in its report.
struct RunEnd {
  std::string aborted;       // why it was ended early; empty: it was not
  std::string inconclusive;  // why it could not be judged; empty: nothing of the kind
};

// In this order: what is left on the host is worst, then an early end, then a steady state that did
// not hold or could not be seen before (nothing was injected), a fault that hit no traffic (says
// nothing about the failsafe), a miss, missing data, a late recovery.
Judgement judge_run(const report::RunReport& report, const RunEnd& end);

}  // namespace holdfast
