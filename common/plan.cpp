#include "common/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace holdfast::plan {
namespace {

std::string_view symbol(Comparison comparison) {
  switch (comparison) {
    case Comparison::ge:
      return ">=";
    case Comparison::le:
      return "<=";
    case Comparison::gt:
      return ">";
    case Comparison::lt:
      return "<";
    case Comparison::eq:
      return "==";
    case Comparison::ne:
      return "!=";
  }
  return "?";
}

}  // namespace

bool Tolerance::admits(double value) const {
  if (std::isnan(value)) {
    return false;
  }
  switch (comparison) {
    case Comparison::ge:
      return value >= bound;
    case Comparison::le:
      return value <= bound;
    case Comparison::gt:
      return value > bound;
    case Comparison::lt:
      return value < bound;
    case Comparison::eq:
      return value == bound;
    case Comparison::ne:
      return value != bound;
  }
  return false;
}

std::string Tolerance::text() const {
  return fmt::format("{} {}", symbol(comparison), bound);
}

std::string_view to_string(FaultKind kind) {
  switch (kind) {
    case FaultKind::noop:
      return "noop";
    case FaultKind::blackhole:
      return "blackhole";
    case FaultKind::loss:
      return "loss";
    case FaultKind::dns:
      return "dns";
    case FaultKind::latency:
      return "latency";
    case FaultKind::bandwidth:
      return "bandwidth";
    case FaultKind::duplicate:
      return "duplicate";
    case FaultKind::reorder:
      return "reorder";
    case FaultKind::corrupt:
      return "corrupt";
  }
  return "?";
}

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::any:
      return "any";
    case Protocol::tcp:
      return "tcp";
    case Protocol::udp:
      return "udp";
    case Protocol::icmp:
      return "icmp";
  }
  return "?";
}

std::string_view to_string(Direction direction) {
  switch (direction) {
    case Direction::to:
      return "to";
    case Direction::from:
      return "from";
    case Direction::both:
      return "both";
  }
  return "?";
}

std::string_view to_string(BlackholeHow how) {
  switch (how) {
    case BlackholeHow::drop:
      return "drop";
    case BlackholeHow::refuse:
      return "refuse";
    case BlackholeHow::unreachable:
      return "unreachable";
    case BlackholeHow::reset:
      return "reset";
  }
  return "?";
}

std::string_view to_string(DnsResponse response) {
  switch (response) {
    case DnsResponse::nxdomain:
      return "nxdomain";
    case DnsResponse::servfail:
      return "servfail";
    case DnsResponse::refused:
      return "refused";
    case DnsResponse::timeout:
      return "timeout";
  }
  return "?";
}

std::string_view to_string(When when) {
  switch (when) {
    case When::before:
      return "before";
    case When::during:
      return "during";
    case When::after:
      return "after";
  }
  return "?";
}

std::string format_ports(const std::vector<PortRange>& ports) {
  std::vector<std::string> words;
  words.reserve(ports.size());
  for (const PortRange& range : ports) {
    words.push_back(range.first == range.last ? fmt::format("{}", range.first)
                                              : fmt::format("{}-{}", range.first, range.last));
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string describe(const Match& match) {
  std::vector<std::string> peers = match.hosts;
  for (const Prefix& prefix : match.addresses) {
    peers.push_back(prefix.written);
  }
  const char* way = match.direction == Direction::to     ? "to"
                    : match.direction == Direction::from ? "from"
                                                         : "to and from";
  std::string text = fmt::format(
      "{} {} {}", match.protocol == Protocol::any ? "all traffic" : to_string(match.protocol), way,
      peers.empty() ? "anywhere" : fmt::format("{}", fmt::join(peers, ", ")));
  if (!match.ports.empty()) {
    text += fmt::format(" port {}", format_ports(match.ports));
  }
  if (!match.local_ports.empty()) {
    text += fmt::format(" (own port {})", format_ports(match.local_ports));
  }
  if (match.connections != Connections::all) {
    text += match.connections == Connections::opening ? ", what opens a connection"
                                                      : ", connections that exist";
  }
  if (match.flows < 1) {
    text += fmt::format(", {} of the connections", format_percent({match.flows}));
  }
  return text;
}

std::string describe(const Target& target) {
  if (target.node) {
    return "whole node";
  }
  std::string place;
  if (!target.netns.empty()) {
    place = "network namespace " + target.netns;
  } else if (target.pid != 0) {
    place = fmt::format("network namespace of pid {}", target.pid);
  }
  if (target.interface.empty()) {
    return place;
  }
  return place.empty() ? "interface " + target.interface : fmt::format("interface {} in {}", target.interface, place);
}

double Draw::expected_share() const {
  switch (how) {
    case How::random:
      return percent.share;
    case How::chain: {
      const double bad = chain.to_bad / (chain.to_bad + chain.to_good);
      return bad * chain.hit_in_bad + (1 - bad) * chain.hit_in_good;
    }
    case How::every:
      return 1.0 / every;
  }
  return 0;
}

Duration LatencyParams::expected_mean() const {
  if (table.empty()) {
    return delay;
  }
  // Each piece between two neighbours is as likely as another.
  double sum = 0;
  for (std::size_t i = 1; i < table.size(); ++i) {
    sum += static_cast<double>((table[i - 1] + table[i]).count()) / 2;
  }
  return Duration(std::llround(sum / static_cast<double>(table.size() - 1)));
}

Duration LatencyParams::expected_deviation() const {
  if (distribution == Distribution::uniform) {
    return Duration(std::llround(static_cast<double>(jitter.count()) / std::numbers::sqrt3));
  }
  if (table.empty()) {
    return jitter;
  }
  const auto mean = static_cast<double>(expected_mean().count());
  double sum = 0;
  for (std::size_t i = 1; i < table.size(); ++i) {
    const double a = static_cast<double>(table[i - 1].count()) - mean;
    const double b = static_cast<double>(table[i].count()) - mean;
    sum += (a * a + a * b + b * b) / 3;
  }
  return Duration(std::llround(std::sqrt(sum / static_cast<double>(table.size() - 1))));
}

std::size_t Action::steps_until(Duration elapsed) const {
  const auto next = std::ranges::upper_bound(schedule, elapsed, {}, &ScheduledParameters::after);
  return static_cast<std::size_t>(next - schedule.begin());
}

Action Action::at_step(std::size_t step) const {
  Action then = *this;
  if (step > 0) {
    const ScheduledParameters& entry = schedule.at(step - 1);
    static_cast<FaultParameters&>(then) = entry.parameters;
    then.match.flows = entry.flows;
  }
  return then;
}

double Action::mean_of(double (*value)(const FaultParameters&)) const {
  double sum = 0;
  Duration since{};
  const FaultParameters* current = this;
  for (const ScheduledParameters& entry : schedule) {
    const Duration until = std::min(entry.after, duration);
    sum += value(*current) * static_cast<double>((until - since).count());
    since = until;
    current = &entry.parameters;
  }
  sum += value(*current) * static_cast<double>((duration - since).count());
  return sum / static_cast<double>(duration.count());
}

namespace {

std::string describe_parameters(FaultKind kind, const FaultParameters& action) {
  switch (kind) {
    case FaultKind::noop:
      return "noop";
    case FaultKind::blackhole:
      return fmt::format("blackhole ({})", to_string(action.blackhole.how));
    case FaultKind::loss:
      return "loss " + action.draw.written;
    case FaultKind::dns: {
      std::string text = fmt::format("dns {}", to_string(action.dns.response));
      if (!action.dns.names.empty()) {
        text += fmt::format(" for {}", fmt::join(action.dns.names, ", "));
      }
      if (!action.dns.zones.empty()) {
        text += fmt::format(" for zone {}", fmt::join(action.dns.zones, ", "));
      }
      return text;
    }
    case FaultKind::latency:
      return "latency " + action.latency.written;
    case FaultKind::bandwidth:
      return "bandwidth " + action.bandwidth.written;
    case FaultKind::duplicate:
      return "duplicate " + action.draw.written;
    case FaultKind::reorder:
      return fmt::format("reorder {}, late by {}", action.draw.written,
                         format_duration(action.reorder.delay));
    case FaultKind::corrupt:
      return fmt::format("corrupt {}, checksum {}", action.draw.written,
                         action.corrupt.fix_checksum ? "mended" : "left wrong");
  }
  return "?";
}

}  // namespace

std::string describe_fault(const Action& action) {
  std::string text = describe_parameters(action.fault, action);
  if (!action.schedule.empty()) {
    const ScheduledParameters& last = action.schedule.back();
    const std::string then = describe_parameters(action.fault, last.parameters);
    text += then == text ? "" : ", becoming " + then;
    if (last.flows != action.match.flows) {
      text += fmt::format(", on {} of the connections in the end", format_percent({last.flows}));
    }
    text += fmt::format(" over {}", format_duration(last.after));
  }
  if (action.pulse) {
    text += fmt::format(", {} on and {} off by turns", format_duration(action.pulse->active),
                        format_duration(action.pulse->dormant));
  }
  return text;
}

}  // namespace holdfast::plan
