// The experiment plan as plain structs: what plan_yaml.h produces, and what compilers and the
// runner read. Everything in here has been checked for form (units, ranges, unknown and duplicate
// keys); whether a target exists on this node is the agent's to say. Words as in
// docs/architecture.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/units.h"

namespace holdfast::plan {

// Where in the plan's text something was written, for messages. Line and column count from 1; 0:
// not known.
struct Location {
  std::string file;
  int line = 0;
  int column = 0;
  std::string key_path;  // "spec.method[0].match.ports[1]"
};

// An IPv4 or IPv6 prefix, IPv4 as IPv4-mapped (RFC 4291, 2.5.5.2: ::ffff:a.b.c.d, length 96 + n).
struct Prefix {
  std::array<std::uint8_t, 16> address{};
  int length = 128;     // 0 to 128, of the mapped form
  std::string written;  // as in the plan
  bool is_single() const { return length == 128; }
};

// Ports from first to last, both included; 1 to 65535.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  friend bool operator==(const PortRange&, const PortRange&) = default;
};

enum class Protocol { any, tcp, udp, icmp };  // icmp: ICMP and ICMPv6
// Seen from the target: `to` are packets that leave it for the matched peers, `from` are those that
// come from them.
enum class Direction { to, from, both };

// Of TCP: every packet; those that open a connection (`new`: SYN and SYN-ACK); those of connections
// that were there when the action began.
enum class Connections { all, opening, existing };

// Which traffic. Empty lists restrict nothing; entries of one list are alternatives, different
// lists must all admit.
struct Match {
  std::vector<Prefix> addresses;       // the peer's
  std::vector<std::string> hosts;      // names of peers, resolved on the node at preflight
  std::vector<PortRange> ports;        // the peer's (a server's port, seen from its client)
  std::vector<PortRange> local_ports;  // the target's own
  Protocol protocol = Protocol::any;
  Direction direction = Direction::to;
  // Share of the connections, above 0, at most 1. A connection is in or out for life.
  double flows = 1;
  Connections connections = Connections::all;
};

// Where. Exactly one of node, netns, pid and interface (interface may be together with netns or
// pid).
struct Target {
  bool node = false;  // every interface of the network namespace the agent runs in
  std::string netns;  // name under /run/netns, or a path
  int pid = 0;        // the network namespace of this process; 0: not given
  std::string
      interface;  // one interface, in the agent's namespace unless netns or pid says otherwise
  Location where;
};

enum class FaultKind {
  noop,
  blackhole,
  loss,
  dns,
  latency,
  bandwidth,
  duplicate,
  reorder,
  corrupt
};

// drop: silence. refuse: as from a closed port (TCP reset, ICMP port unreachable). unreachable: as
// from the last router (ICMP host unreachable).
// reset: as refuse, and connections that end in the target are closed when it begins.
enum class BlackholeHow { drop, refuse, unreachable, reset };
enum class DnsResponse { nxdomain, servfail, refused, timeout };

struct BlackholeParams {
  BlackholeHow how = BlackholeHow::drop;
};
// Which of the matched packets a fault hits.
struct Draw {
  enum class How { random, chain, every };
  How how = How::random;
  Percent percent;  // random: each packet on its own
  // The Gilbert-Elliott model: a link is good or bad, and may change after each packet. Bursts of a
  // mean length and correlated draws are chains, too.
  struct Chain {
    double to_bad = 0, to_good = 1;  // at most 1
    double hit_in_good = 0, hit_in_bad = 1;
  } chain;
  int every = 0;        // each one of so many packets; 1 or more
  std::string written;  // in words: "10% in bursts of 4"

  double expected_share() const;  // of the matched packets in the long run, 0 to 1
};
struct LatencyParams {
  // uniform: within delay ± jitter; the others: jitter is the standard deviation. table: drawn from
  // measured values.
  enum class Distribution { fixed, uniform, normal, pareto, paretonormal, table };
  Distribution distribution = Distribution::fixed;
  Duration delay{}, jitter{};   // of each packet, in each direction that the match names
  double correlation = 0;       // of the delays of neighbouring packets (their ranks); 0 to below 1
  bool reorder = false;         // packets of a connection may overtake each other
  std::vector<Duration> table;  // in rising order, two or more
  std::string written;          // in words: "100ms ± 10ms normal"

  // Of the delays in the long run.
  Duration expected_mean() const;
  Duration expected_deviation() const;  // standard deviation
};
// The packets that are hit are late by so much, and overtaken by those that follow within it.
struct ReorderParams {
  Duration delay{};
};
// A link of a certain rate, with a queue before it. Each direction has one of its own.
struct BandwidthParams {
  double bits_per_second = 0;   // 1e3 to 1e11; of frames, as queueing disciplines count them
  std::uint64_t burst = 0;      // bytes that a link which was idle carries at once
  std::uint64_t queue = 0;      // bytes that may wait; what comes on top is dropped
  bool per_connection = false;  // a link for each connection, instead of one for all
  std::string written;          // in words: "10mbit, queue 312KB"
};
struct CorruptParams {
  bool fix_checksum = false;  // so that the receiver takes what was changed
};
struct DnsParams {
  DnsResponse response = DnsResponse::nxdomain;
  std::vector<std::string> names;  // exactly these, lower case, without the last dot
  std::vector<std::string> zones;  // these and everything below them; "." is every name
};

// On for `active`, off for `dormant`, and so on from the start of the action.
struct Pulse {
  Duration active{}, dormant{};
};

// Only what belongs to the kind of fault has a meaning.
struct FaultParameters {
  BlackholeParams blackhole;
  Draw draw;  // loss, duplicate, reorder, corrupt
  DnsParams dns;
  LatencyParams latency;
  BandwidthParams bandwidth;
  ReorderParams reorder;
  CorruptParams corrupt;
};

// What numbers that are schedules ({from, to, over}) come to from some moment on.
struct ScheduledParameters {
  Duration after{};  // since the start of the action
  FaultParameters parameters;
  double flows = 1;  // Match::flows
};

// One entry of the method.
struct Action : FaultParameters {
  std::string name;  // unique in the plan
  FaultKind fault = FaultKind::noop;
  Duration
      start_after{};  // after the start of the injecting phase, or after start_after_action ended
  std::string start_after_action;  // empty: none
  Duration duration{};
  std::optional<Pulse> pulse;
  Target target;
  Match match;
  bool spare_protected =
      false;  // `protected: spare`: a match that also covers protected traffic is accepted
  std::vector<ScheduledParameters> schedule;  // what replaces the parameters, in order of time
  Location where;

  // How many entries of the schedule are past when the action has run for `elapsed`.
  std::size_t steps_until(Duration elapsed) const;
  // Takes over what entry `step` - 1 says; 0 is how the action begins.
  Action at_step(std::size_t step) const;
  // Of `value(parameters)`, over the duration of the action.
  double mean_of(double (*value)(const FaultParameters&)) const;
};

enum class Comparison { ge, le, gt, lt, eq, ne };
struct Tolerance {
  Comparison comparison = Comparison::ge;
  double bound = 0;
  bool admits(double value) const;  // NaN is never admitted
  std::string text() const;         // ">= 0.99"
};

enum class When { before, during, after };

struct Probe {
  std::string name;   // unique among probes and stop conditions
  std::string query;  // PromQL, instant
  Tolerance tolerance;
  std::set<When> when;        // never empty; stop conditions: all three
  int failure_threshold = 1;  // misses in a row that count as a miss of the probe; 1 to 1000
  Duration interval{};        // from one evaluation to the next; 100 ms to 1 h
  Location where;
};

struct PrometheusConfig {
  std::string url;    // http(s)://host:port[/path], no trailing slash
  std::string netns;  // network namespace to query from; empty: the controller's own
  std::string bearer_token_file;
  struct BasicAuth {
    std::string username, password, password_file;
  };
  std::optional<BasicAuth> basic_auth;
  struct Tls {
    std::string ca_file, cert_file, key_file, server_name;
    bool insecure_skip_verify = false;
  } tls;
  std::optional<Duration> scrape_interval;  // for staleness, in place of what the server says
  Duration timeout{};                       // of one query
  Location where;
};

struct Experiment {
  std::string file;
  std::string sha256;  // of the plan's bytes, in hexadecimal
  std::string name, title, description;
  std::vector<std::string> tags;
  PrometheusConfig prometheus;
  Duration baseline{};  // how long the probes must hold before anything is injected
  std::vector<Probe> probes;
  std::vector<Probe> stop_conditions;
  std::vector<Action> method;
  Duration recovery_within{};
};

std::string_view to_string(FaultKind kind);
std::string_view to_string(Protocol protocol);
std::string_view to_string(Direction direction);
std::string_view to_string(DnsResponse response);
std::string_view to_string(BlackholeHow how);
std::string_view to_string(When when);
// "port 443", "ports 8000-8100" list form: "443, 8000-8100".
std::string format_ports(const std::vector<PortRange>& ports);
// Plain words for people: "tcp to 10.0.0.1, 10.0.1.0/24 port 443".
std::string describe(const Match& match);
// "network namespace edge", "interface eth1 in network namespace edge", "whole node", "network
// namespace of pid 7".
std::string describe(const Target& target);
// "blackhole (drop)", "loss 10%", "dns nxdomain for zone example.com".
std::string describe_fault(const Action& action);

}  // namespace holdfast::plan
