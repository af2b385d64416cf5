// An agent that counts what it does, for Prometheus. It wraps another one: whoever drives it does
// not know the difference.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/agent.h"

namespace holdfast::agent {

// What the metrics are labelled with, the same for as long as the process lives.
struct RunLabels {
  std::string run_id;
  std::string version;  // of Holdfast
  std::string kernel;   // release
};

// docs/metrics.md lists the metrics. Scrapes may come from any thread, at any time.
class MeteredAgent : public Agent, public prometheus::Collectable {
 public:
  MeteredAgent(std::unique_ptr<Agent> agent, RunLabels labels);

  Result<std::vector<PreparedAction>> prepare(const plan::Experiment& experiment,
                                              const std::vector<ProtectedPeer>& peers) override;
  Result<void> snapshot_host() override { return agent_->snapshot_host(); }
  Result<void> arm(std::size_t index) override;
  Result<void> disarm(std::size_t index) override;
  Result<void> disarm_all() override;
  void renew_lease() override;
  Duration lease_period() const override { return agent_->lease_period(); }
  Result<Counters> counters(std::size_t index) const override { return agent_->counters(index); }
  std::size_t attached_interfaces() const override { return agent_->attached_interfaces(); }
  Result<std::vector<HostDifference>> compare_host() override { return agent_->compare_host(); }

  // The kernel's counters are read at this moment, so that a scrape never shows old ones.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  using Clock = std::chrono::steady_clock;
  struct ActionState {
    PreparedAction prepared;
    std::string fault;
    bool live = false;
  };
  // One way in which the kernel is changed: "inject" or "remove".
  struct Operation {
    prometheus::Counter& failures;
    prometheus::Histogram& seconds;
  };

  Operation operation(const std::string& name);
  static Result<void> timed(Operation& operation, const std::function<Result<void>()>& work);
  void note_removed(std::size_t index);  // needs mutex_
  std::vector<prometheus::ClientMetric::Label> labels_of(const ActionState& action) const;
  prometheus::MetricFamily info() const;
  std::vector<prometheus::MetricFamily> state(std::size_t attached_interfaces) const;
  std::vector<prometheus::MetricFamily> hits() const;

  std::unique_ptr<Agent> agent_;
  RunLabels labels_;
  prometheus::Registry registry_;
  prometheus::Counter& injected_;
  prometheus::Counter& removed_;
  prometheus::Counter& renewals_;
  Operation inject_, remove_;

  mutable std::mutex mutex_;  // of what follows; never held while the agent is called
  std::string experiment_;
  std::vector<ActionState> actions_;
  Clock::time_point lease_ends_{};
};

}  // namespace holdfast::agent
