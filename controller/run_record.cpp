#include "controller/run_record.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <holdfast_version.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cmath>

#include "agent/fault/fault.h"

namespace holdfast {
namespace {

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

report::ProbeReport probe_record(const plan::Probe& probe, bool stop_condition) {
  report::ProbeReport one;
  one.name = probe.name;
  one.query = probe.query;
  one.tolerance = probe.tolerance.text();
  one.bound = probe.tolerance.bound;
  one.stop_condition = stop_condition;
  one.failure_threshold = probe.failure_threshold;
  for (const plan::When when : probe.when) {
    one.when.emplace_back(plan::to_string(when));
  }
  return one;
}

// What the action asks for, over its duration where it changes.
void add_requests(const plan::Action& action, report::ActionReport& entry) {
  using plan::FaultKind;
  using plan::FaultParameters;
  switch (action.fault) {
    case FaultKind::loss:
    case FaultKind::duplicate:
    case FaultKind::corrupt:
    case FaultKind::reorder:
      entry.requested_share =
          action.mean_of([](const FaultParameters& now) { return now.draw.expected_share(); });
      if (action.fault == FaultKind::reorder) {
        entry.delay.emplace().requested_mean =
            action.mean_of([](const FaultParameters& now) { return seconds(now.reorder.delay); });
      }
      break;
    case FaultKind::latency:
      entry.delay.emplace();
      entry.delay->requested_mean = action.mean_of(
          [](const FaultParameters& now) { return seconds(now.latency.expected_mean()); });
      // Of all delays, also where their mean changes: from the mean of their squares.
      entry.delay->requested_deviation =
          std::sqrt(std::max(0.0, action.mean_of([](const FaultParameters& now) {
            return std::pow(seconds(now.latency.expected_mean()), 2) +
                   std::pow(seconds(now.latency.expected_deviation()), 2);
          }) - std::pow(entry.delay->requested_mean, 2)));
      break;
    case FaultKind::bandwidth:
      entry.bandwidth.emplace().requested =
          action.mean_of([](const FaultParameters& now) { return now.bandwidth.bits_per_second; });
      break;
    case FaultKind::noop:
    case FaultKind::blackhole:
    case FaultKind::dns:
      break;
  }
}

}  // namespace

std::string utc_text(std::chrono::system_clock::time_point at) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(at)));
}

report::RunReport begin_record(const plan::Experiment& experiment, const std::string& run_id) {
  utsname system{};
  ::uname(&system);
  report::RunReport report;
  report.run_id = run_id;
  report.holdfast_version = HOLDFAST_VERSION;
  report.plan_file = experiment.file;
  report.plan_sha256 = experiment.sha256;
  report.experiment = experiment.name;
  report.title = experiment.title;
  report.description = experiment.description;
  report.tags = experiment.tags;
  report.host = system.nodename;
  report.kernel = system.release;
  report.started_at = utc_text(std::chrono::system_clock::now());
  report.recovery_within = std::chrono::duration<double>(experiment.recovery_within).count();
  report.recovery_asked = std::ranges::any_of(experiment.probes, [](const plan::Probe& probe) {
    return probe.when.contains(plan::When::after);
  });
  for (const plan::Probe& probe : experiment.probes) {
    report.probes.push_back(probe_record(probe, false));
  }
  for (const plan::Probe& probe : experiment.stop_conditions) {
    report.probes.push_back(probe_record(probe, true));
  }
  return report;
}

report::ActionReport action_record(const plan::Action& action, const agent::PreparedAction& one) {
  report::ActionReport entry;
  entry.name = action.name;
  entry.fault = plan::describe_fault(action);
  entry.fault_kind = plan::to_string(action.fault);
  entry.target = one.target;
  entry.match = plan::describe(action.match);
  entry.interfaces = one.interfaces;
  entry.mechanism = fmt::format("{} on {}", one.mechanism, fmt::join(one.interfaces, ", "));
  entry.proof = "never injected";
  if (action.pulse) {
    entry.pulse = {.active = seconds(action.pulse->active),
                   .dormant = seconds(action.pulse->dormant)};
  }
  add_requests(action, entry);
  return entry;
}

void record_counters(const agent::Counters& counters, plan::FaultKind fault,
                     report::ActionReport& entry) {
  const agent::FaultType& type = agent::fault_type(fault);
  entry.counters = {.matched_packets = counters.matched_packets,
                    .matched_bytes = counters.matched_bytes,
                    .dropped_packets = counters.dropped_packets,
                    .dropped_bytes = counters.dropped_bytes,
                    .answered_packets = counters.answered_packets,
                    .altered_packets = counters.altered_packets,
                    .queued_packets = counters.queued_packets,
                    .closed_connections = counters.closed_connections,
                    .spared_packets = counters.spared_packets,
                    .undelayed_packets = counters.undelayed_packets};
  entry.proven = type.proven(counters);
  entry.proof = type.proof(counters);
  if (entry.requested_share && counters.matched_packets > 0) {
    entry.measured_share =
        static_cast<double>(fault == plan::FaultKind::loss ? counters.dropped_packets
                                                           : counters.altered_packets) /
        static_cast<double>(counters.matched_packets);
  }
  if (entry.bandwidth && counters.delays.packets > 0) {
    entry.bandwidth->mean_wait = seconds(counters.delays.mean);
    entry.bandwidth->p99_wait = seconds(counters.delays.p99);
  }
  if (entry.bandwidth && counters.bits_per_second > 0) {
    entry.bandwidth->measured = counters.bits_per_second;
  }
  if (entry.delay && counters.delays.packets > 0) {
    const agent::DelaySummary& seen = counters.delays;
    entry.delay->packets = seen.packets;
    entry.delay->mean = seconds(seen.mean);
    entry.delay->deviation = seconds(seen.standard_deviation);
    entry.delay->least = seconds(seen.least);
    entry.delay->median = seconds(seen.median);
    entry.delay->p99 = seconds(seen.p99);
    entry.delay->most = seconds(seen.most);
    entry.delay->lateness_p99 = seconds(counters.lateness_p99);
  }
}

}  // namespace holdfast
