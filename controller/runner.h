// The state machine of a run: preflight, baseline, injecting, recovering, settled, verdict.
#pragma once

#include <string>
#include <vector>

#include "agent/agent.h"
#include "common/plan.h"
#include "controller/report/run_report.h"
#include "controller/verify/probe_evaluator.h"

namespace holdfast {

struct ProbeStatus {
  std::string name, tolerance;
  verify::Evaluation latest;
  bool evaluated = false;
};
struct ActionStatus {
  std::string name;
  bool live = false;
  double left = 0;  // seconds
  report::Counters counters;
};
struct RunStatus {
  report::Phase phase = report::Phase::pending;
  double left = 0;  // seconds of this phase at most
  std::vector<ProbeStatus> probes;
  std::vector<ActionStatus> actions;
};

// Told what goes on; called from the thread that runs the experiment.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  virtual void on_event(double at, const std::string& text) = 0;
  virtual void on_status(const RunStatus& status) = 0;  // a few times a second
};

struct RunContext {
  agent::Agent& agent;
  verify::EvaluatorFactory evaluators;
  RunObserver& observer;
  int cancel_fd = -1;  // readable: a person wants the run to end now; -1: nobody can
  std::string run_id;
};

// Runs it to its end. An error means that nothing was touched: the plan does not fit this node
// (exit code 2). Every other end, early ones included, is a report with a verdict; all faults are
// removed when this returns.
Result<report::RunReport> run_experiment(const plan::Experiment& experiment,
                                         const RunContext& context);

}  // namespace holdfast
