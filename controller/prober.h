// Evaluates probes at their intervals, in threads of its own, so that a Prometheus that hangs never
// holds up the run.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "common/plan.h"
#include "common/result.h"
#include "common/unique_fd.h"
#include "controller/verify/probe_evaluator.h"

namespace holdfast {

struct ProbeSample {
  std::size_t probe = 0;                        // index into the probes given to make()
  std::chrono::steady_clock::time_point asked;  // when the evaluation began
  verify::Evaluation evaluation;
};

class Prober {
 public:
  // Begins at once. `probes` must outlive the prober. A factory that fails gives no_data for its
  // probes.
  static Result<std::unique_ptr<Prober>> start(const std::vector<const plan::Probe*>& probes,
                                               verify::EvaluatorFactory factory);
  // Waits for evaluations under way: at most their timeout.
  ~Prober();
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  // Readable while samples wait to be taken.
  int fd() const { return event_.get(); }
  // The samples since the last call, in the order in which they were finished.
  std::vector<ProbeSample> take();

 private:
  Prober(std::vector<const plan::Probe*> probes, verify::EvaluatorFactory factory, UniqueFd event);
  void work(const std::stop_token& stop, std::size_t first, std::size_t stride);
  void push(ProbeSample sample);

  std::vector<const plan::Probe*> probes_;
  verify::EvaluatorFactory factory_;
  UniqueFd event_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::vector<ProbeSample> samples_;
  std::vector<std::jthread> workers_;  // last: ends before what it uses
};

}  // namespace holdfast
