#include <cmath>
#include <nlohmann/json.hpp>

#include "controller/report/writers.h"

namespace holdfast::report {
namespace {

using nlohmann::ordered_json;

// JSON has no NaN and no infinity.
ordered_json number(std::optional<double> value) {
  return value && std::isfinite(*value) ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json json_of(const DelayReport& delay) {
  return {{"requestedMean", delay.requested_mean},
          {"requestedStandardDeviation", delay.requested_deviation},
          {"packets", delay.packets},
          {"mean", number(delay.mean)},
          {"standardDeviation", number(delay.deviation)},
          {"least", number(delay.least)},
          {"median", number(delay.median)},
          {"p99", number(delay.p99)},
          {"most", number(delay.most)},
          {"latenessP99", number(delay.lateness_p99)}};
}

ordered_json json_of(const BandwidthReport& bandwidth) {
  return {{"requestedBitsPerSecond", bandwidth.requested},
          {"measuredBitsPerSecond", number(bandwidth.measured)},
          {"meanWait", number(bandwidth.mean_wait)},
          {"p99Wait", number(bandwidth.p99_wait)}};
}

ordered_json json_of(const ActionReport& action) {
  const Counters& c = action.counters;
  return {{"name", action.name},
          {"fault", action.fault},
          {"faultKind", action.fault_kind},
          {"target", action.target},
          {"match", action.match},
          {"mechanism", action.mechanism},
          {"interfaces", action.interfaces},
          {"start", number(action.start)},
          {"end", number(action.end)},
          {"pulse", action.pulse ? ordered_json{{"active", action.pulse->active},
                                                {"dormant", action.pulse->dormant}}
                                 : ordered_json()},
          {"counters",
           {{"matchedPackets", c.matched_packets},
            {"matchedBytes", c.matched_bytes},
            {"droppedPackets", c.dropped_packets},
            {"droppedBytes", c.dropped_bytes},
            {"answeredPackets", c.answered_packets},
            {"alteredPackets", c.altered_packets},
            {"queuedPackets", c.queued_packets},
            {"closedConnections", c.closed_connections},
            {"sparedPackets", c.spared_packets},
            {"undelayedPackets", c.undelayed_packets}}},
          {"proven", action.proven},
          {"proof", action.proof},
          {"requestedShare", number(action.requested_share)},
          {"measuredShare", number(action.measured_share)},
          {"delay", action.delay ? json_of(*action.delay) : ordered_json()},
          {"bandwidth", action.bandwidth ? json_of(*action.bandwidth) : ordered_json()}};
}

ordered_json json_of(const ProbeReport& probe) {
  ordered_json points = ordered_json::array(), outcomes = ordered_json::array();
  for (const ProbePoint& point : probe.points) {
    points.push_back({{"at", point.at},
                      {"phase", to_string(point.phase)},
                      {"status", verify::to_string(point.status)},
                      {"value", number(point.value)},
                      {"detail", point.detail}});
  }
  for (const ProbeOutcome& outcome : probe.outcomes) {
    outcomes.push_back({{"phase", to_string(outcome.phase)},
                        {"status", verify::to_string(outcome.status)},
                        {"detail", outcome.detail}});
  }
  return {{"name", probe.name},
          {"query", probe.query},
          {"tolerance", probe.tolerance},
          {"bound", number(probe.bound)},
          {"stopCondition", probe.stop_condition},
          {"failureThreshold", probe.failure_threshold},
          {"when", probe.when},
          {"points", points},
          {"outcomes", outcomes}};
}

}  // namespace

std::string to_json(const RunReport& report) {
  ordered_json document{{"schema", report.schema},
                        {"runId", report.run_id},
                        {"holdfastVersion", report.holdfast_version},
                        {"planFile", report.plan_file},
                        {"planSha256", report.plan_sha256},
                        {"experiment", report.experiment},
                        {"title", report.title},
                        {"description", report.description},
                        {"tags", report.tags},
                        {"host", report.host},
                        {"kernel", report.kernel},
                        {"startedAt", report.started_at},
                        {"endedAt", report.ended_at},
                        {"duration", report.duration},
                        {"verdict", to_string(report.verdict)},
                        {"exitCode", exit_code(report.verdict)},
                        {"reason", report.reason},
                        {"notes", report.notes}};
  for (const char* key : {"phases", "actions", "probes", "hostDifferences", "events"}) {
    document[key] = ordered_json::array();
  }
  for (const PhaseSpan& span : report.phases) {
    document["phases"].push_back(
        {{"phase", to_string(span.phase)}, {"start", span.start}, {"end", span.end}});
  }
  for (const ActionReport& action : report.actions) {
    document["actions"].push_back(json_of(action));
  }
  for (const ProbeReport& probe : report.probes) {
    document["probes"].push_back(json_of(probe));
  }
  document["recoverySeconds"] = number(report.recovery_seconds);
  document["recoveryWithin"] = report.recovery_within;
  for (const HostDifference& one : report.host_differences) {
    document["hostDifferences"].push_back({{"what", one.what},
                                           {"where", one.where},
                                           {"before", one.before},
                                           {"after", one.after},
                                           {"cure", one.cure}});
  }
  for (const Event& event : report.events) {
    document["events"].push_back({{"at", event.at}, {"text", event.text}});
  }
  return document.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace holdfast::report
