#include "agent/metered_agent.h"

#include <algorithm>
#include <utility>

#include "agent/process_start_time.h"

namespace holdfast::agent {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// From what one write to mapped memory takes to what a hundred interfaces take.
const prometheus::Histogram::BucketBoundaries kSeconds = {0.0001, 0.0005, 0.001, 0.005, 0.01,
                                                          0.05,   0.1,    0.5,   1};

prometheus::Counter& counter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

MetricFamily family(std::string name, std::string help, MetricType type) {
  return {.name = std::move(name), .help = std::move(help), .type = type, .metric = {}};
}

void add(MetricFamily& to, std::vector<ClientMetric::Label> labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.counter.value = value;  // the one that is written is chosen by the family's type
  metric.gauge.value = value;
  to.metric.push_back(std::move(metric));
}

}  // namespace

MeteredAgent::MeteredAgent(std::unique_ptr<Agent> agent, RunLabels labels)
    : agent_(std::move(agent)),
      labels_(std::move(labels)),
      injected_(counter(registry_, "holdfast_agent_faults_injected_total",
                        "Actions whose fault was put into the kernel.")),
      removed_(counter(registry_, "holdfast_agent_faults_removed_total",
                       "Actions whose fault was taken out of the kernel again.")),
      renewals_(counter(registry_, "holdfast_agent_lease_renewals_total",
                        "Heartbeats: without them every fault ends with the lease.")),
      inject_(operation("inject")),
      remove_(operation("remove")) {
  prometheus::BuildGauge()
      .Name("process_start_time_seconds")
      .Help("When the process began, in seconds since 1970.")
      .Register(registry_)
      .Add({})
      .Set(process_start_time());
}

MeteredAgent::Operation MeteredAgent::operation(const std::string& name) {
  return {.failures = prometheus::BuildCounter()
                          .Name("holdfast_agent_fault_failures_total")
                          .Help("Times that a fault could not be put in or taken out.")
                          .Register(registry_)
                          .Add({{"operation", name}}),
          .seconds = prometheus::BuildHistogram()
                         .Name("holdfast_agent_fault_operation_seconds")
                         .Help("How long it took to put a fault in or take it out.")
                         .Register(registry_)
                         .Add({{"operation", name}}, kSeconds)};
}

Result<void> MeteredAgent::timed(Operation& operation, const std::function<Result<void>()>& work) {
  const auto began = Clock::now();
  auto result = work();
  operation.seconds.Observe(std::chrono::duration<double>(Clock::now() - began).count());
  if (!result) {
    operation.failures.Increment();
  }
  return result;
}

Result<std::vector<PreparedAction>> MeteredAgent::prepare(const plan::Experiment& experiment,
                                                          const std::vector<ProtectedPeer>& peers) {
  auto prepared = agent_->prepare(experiment, peers);
  if (prepared) {
    const std::lock_guard lock(mutex_);
    experiment_ = experiment.name;
    for (std::size_t i = 0; i < prepared->size(); ++i) {
      actions_.push_back({.prepared = (*prepared)[i],
                          .fault = std::string(plan::to_string(experiment.method[i].fault)),
                          .live = false});
    }
  }
  return prepared;
}

Result<void> MeteredAgent::arm(std::size_t index) {
  auto armed = timed(inject_, [&] { return agent_->arm(index); });
  if (armed) {
    injected_.Increment();
    const std::lock_guard lock(mutex_);
    actions_.at(index).live = true;
    lease_ends_ = Clock::now() + agent_->lease_period();
  }
  return armed;
}

// Where removing failed, the fault is over all the same: its rule is dead before anything is
// detached. The failure is counted.
void MeteredAgent::note_removed(std::size_t index) {
  if (std::exchange(actions_.at(index).live, false)) {
    removed_.Increment();
  }
}

Result<void> MeteredAgent::disarm(std::size_t index) {
  auto disarmed = timed(remove_, [&] { return agent_->disarm(index); });
  const std::lock_guard lock(mutex_);
  note_removed(index);
  return disarmed;
}

Result<void> MeteredAgent::disarm_all() {
  auto disarmed = timed(remove_, [&] { return agent_->disarm_all(); });
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < actions_.size(); ++i) {
    note_removed(i);
  }
  return disarmed;
}

void MeteredAgent::renew_lease() {
  agent_->renew_lease();
  renewals_.Increment();
  const std::lock_guard lock(mutex_);
  lease_ends_ = Clock::now() + agent_->lease_period();
}

MetricFamily MeteredAgent::info() const {
  MetricFamily info = family("holdfast_agent_info", "What runs here; always 1.", MetricType::Gauge);
  add(info,
      {{"version", labels_.version},
       {"kernel", labels_.kernel},
       {"run", labels_.run_id},
       {"experiment", experiment_}},
      1);
  return info;
}

// The run is a label of its own, so that the counters of two runs of one plan are not one series.
std::vector<ClientMetric::Label> MeteredAgent::labels_of(const ActionState& action) const {
  return {{"run", labels_.run_id},
          {"action", action.prepared.name},
          {"fault", action.fault},
          {"target", action.prepared.target}};
}

// What is injected now, and how it is secured.
std::vector<MetricFamily> MeteredAgent::state(std::size_t attached_interfaces) const {
  MetricFamily active = family("holdfast_action_active", "1 while the action's fault is injected.",
                               MetricType::Gauge);
  MetricFamily interfaces = family("holdfast_agent_attached_interfaces",
                                   "Interfaces that programs are attached to.", MetricType::Gauge);
  MetricFamily lease = family("holdfast_agent_lease_remaining_seconds",
                              "Until every fault would end without another heartbeat; 0 where "
                              "nothing is injected.",
                              MetricType::Gauge);
  bool live = false;
  for (const ActionState& action : actions_) {
    add(active, labels_of(action), action.live ? 1 : 0);
    live = live || action.live;
  }
  if (!actions_.empty()) {
    add(interfaces, {{"mechanism", actions_.front().prepared.mechanism}},
        static_cast<double>(attached_interfaces));
  }
  const double left = std::chrono::duration<double>(lease_ends_ - Clock::now()).count();
  add(lease, {}, live ? std::max(0.0, left) : 0);
  return {std::move(active), std::move(interfaces), std::move(lease)};
}

// Whether the action has delays to tell of.
static bool goes_by_line(const std::string& fault) {
  using plan::FaultKind;
  return fault == plan::to_string(FaultKind::latency) ||
         fault == plan::to_string(FaultKind::reorder) ||
         fault == plan::to_string(FaultKind::bandwidth);
}

std::vector<MetricFamily> MeteredAgent::hits() const {
  struct Column {
    const char* name;
    const char* help;
    std::uint64_t Counters::* field;
  };
  static const std::vector<Column> kColumns = {
      {"holdfast_action_matched_packets_total", "Packets that the action's match covered.",
       &Counters::matched_packets},
      {"holdfast_action_matched_bytes_total", "Bytes of those packets.", &Counters::matched_bytes},
      {"holdfast_action_dropped_packets_total", "Packets that the fault dropped.",
       &Counters::dropped_packets},
      {"holdfast_action_dropped_bytes_total", "Bytes of those packets.", &Counters::dropped_bytes},
      {"holdfast_action_answered_packets_total", "DNS queries that the fault answered itself.",
       &Counters::answered_packets},
      {"holdfast_action_altered_packets_total",
       "Packets that the fault duplicated, corrupted or kept back.", &Counters::altered_packets},
      {"holdfast_action_queued_packets_total",
       "Packets that waited for others where a bandwidth is limited.", &Counters::queued_packets},
      {"holdfast_action_closed_connections_total", "Connections that a reset closed when it began.",
       &Counters::closed_connections},
      {"holdfast_action_spared_packets_total",
       "Packets that were matched and let through, being protected.", &Counters::spared_packets},
      {"holdfast_action_undelayed_packets_total",
       "Packets that were meant for the delay line, which could not take them: let through.",
       &Counters::undelayed_packets}};
  std::vector<ActionState> actions;
  {
    const std::lock_guard lock(mutex_);
    actions = actions_;
  }
  std::vector<MetricFamily> families;
  families.reserve(kColumns.size());
  for (const Column& column : kColumns) {
    families.push_back(family(column.name, column.help, MetricType::Counter));
  }
  // What was delayed, and by how much in all: their quotient is the mean delay.
  MetricFamily delayed = family("holdfast_action_delayed_packets_total",
                                "Packets that were delayed and went on.", MetricType::Counter);
  MetricFamily delay = family("holdfast_action_delay_seconds_total",
                              "Delays of those packets, added up.", MetricType::Counter);
  for (std::size_t i = 0; i < actions.size(); ++i) {
    const auto counters = agent_->counters(i);
    if (!counters) {
      continue;  // a hole in the series is honest; a 0 would be a reset
    }
    for (std::size_t column = 0; column < kColumns.size(); ++column) {
      add(families[column], labels_of(actions[i]),
          static_cast<double>((*counters).*(kColumns[column].field)));
    }
    if (goes_by_line(actions[i].fault)) {
      const auto packets = static_cast<double>(counters->delays.packets);
      const double mean = std::chrono::duration<double>(counters->delays.mean).count();
      add(delayed, labels_of(actions[i]), packets);
      add(delay, labels_of(actions[i]), packets * mean);
    }
  }
  families.push_back(std::move(delayed));
  families.push_back(std::move(delay));
  return families;
}

std::vector<MetricFamily> MeteredAgent::Collect() const {
  std::vector<MetricFamily> families = registry_.Collect();
  const std::size_t attached = agent_->attached_interfaces();
  {
    const std::lock_guard lock(mutex_);
    families.push_back(info());
    for (MetricFamily& one : state(attached)) {
      families.push_back(std::move(one));
    }
  }
  for (MetricFamily& one : hits()) {
    families.push_back(std::move(one));
  }
  return families;
}

}  // namespace holdfast::agent
