// Everything that is known about one run, as plain data: filled by the runner, written out by the
// report writers. Times are seconds since the start of the run unless said otherwise.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "controller/verify/probe_evaluator.h"

namespace holdfast::report {

enum class Verdict { held, breached, not_injected, inconclusive, aborted, dirty };
std::string_view to_string(Verdict verdict);  // "held", "not-injected", …
int exit_code(Verdict verdict);               // 0, 1, 3, 4, 5, 6

enum class Phase { pending, preflight, baseline, injecting, recovering, settled };
std::string_view to_string(Phase phase);

struct PhaseSpan {
  Phase phase = Phase::pending;
  double start = 0;
  double end = 0;
};

struct ProbePoint {
  double at = 0;  // when the evaluation was asked for
  Phase phase = Phase::baseline;
  verify::Status status = verify::Status::no_data;
  std::optional<double> value;
  std::string detail;
};

// What became of a probe in one of the phases it was asked for.
struct ProbeOutcome {
  Phase phase = Phase::baseline;
  verify::Status status = verify::Status::no_data;  // after the failure threshold was applied
  std::string detail;                               // why, when not ok
};

struct ProbeReport {
  std::string name;
  std::string query;
  std::string tolerance;  // ">= 0.99"
  double bound = 0;       // the number in it, for drawing
  bool stop_condition = false;
  int failure_threshold = 1;
  std::vector<std::string> when;
  std::vector<ProbePoint> points;
  std::vector<ProbeOutcome> outcomes;
};

// The kernel's own counters of one action: the proof of injection.
struct Counters {
  std::uint64_t matched_packets = 0, matched_bytes = 0;
  std::uint64_t dropped_packets = 0, dropped_bytes = 0;
  std::uint64_t answered_packets = 0;    // DNS queries answered in the kernel
  std::uint64_t altered_packets = 0;     // duplicated, corrupted or kept back
  std::uint64_t queued_packets = 0;      // by a bandwidth, behind others
  std::uint64_t closed_connections = 0;  // by a reset, when it began
  std::uint64_t spared_packets = 0;      // matched, but protected: let through
  std::uint64_t undelayed_packets = 0;   // meant for the delay line, which did not take them
};

// Requested and measured delays, in seconds.
struct DelayReport {
  double requested_mean = 0, requested_deviation = 0;
  std::uint64_t packets = 0;
  // Measured; empty where no packet was delayed.
  std::optional<double> mean, deviation, least, median, p99, most;
  std::optional<double> lateness_p99;  // the delay line's own error
};

// Requested and measured rate of a link.
struct BandwidthReport {
  double requested = 0;            // bits in a second
  std::optional<double> measured;  // … that passed while packets waited; empty where none did
  std::optional<double> mean_wait, p99_wait;  // until a packet had passed, in seconds
};

struct ActionReport {
  std::string name;
  std::string fault;       // "loss 10%"
  std::string fault_kind;  // "loss"
  std::string target;      // in plain words
  std::string match;       // in plain words
  std::string mechanism;   // "tcx on eth1, lo", "clsact on …"
  std::vector<std::string> interfaces;
  std::optional<double> start, end;  // of the fault window; empty: never injected
  struct Pulse {
    double active = 0, dormant = 0;
  };
  std::optional<Pulse> pulse;  // the window has gaps: it comes and goes from its start on
  Counters counters;
  bool proven = false;  // the counters show that it hit traffic
  std::string proof;    // one line: "1,204 of 1,204 matched packets dropped"
  // Of the matched packets, that were hit: for loss, duplicate, reorder and corrupt.
  std::optional<double> requested_share, measured_share;
  std::optional<DelayReport> delay;  // for latency and reorder
  std::optional<BandwidthReport> bandwidth;
};

struct Event {
  double at = 0;
  std::string text;
};

struct HostDifference {
  std::string what;   // "qdisc", "filter", "link", "bpf program", "nft ruleset"
  std::string where;  // "lo in network namespace edge"
  std::string before, after;
  std::string cure;  // the command that mends it; may be empty
};

struct RunReport {
  std::string schema = "holdfast.report/v1";
  std::string run_id;
  std::string holdfast_version;
  std::string plan_file, plan_sha256, experiment, title, description;
  std::vector<std::string> tags;
  std::string host, kernel;
  std::string started_at, ended_at;  // RFC 3339, UTC
  double duration = 0;
  Verdict verdict = Verdict::inconclusive;
  std::string reason;              // one sentence: why this verdict
  std::vector<std::string> notes;  // what else a reader should know
  std::vector<PhaseSpan> phases;
  std::vector<ActionReport> actions;
  std::vector<ProbeReport> probes;  // stop conditions too
  bool recovery_asked = true;       // whether any probe is asked after the fault
  // From the removal of the last fault until the probes held. Empty: they did not in time, it was
  // not waited for, or no probe is asked.
  std::optional<double> recovery_seconds;
  double recovery_within = 0;  // the objective
  std::vector<HostDifference> host_differences;
  std::vector<Event> events;
};

}  // namespace holdfast::report
