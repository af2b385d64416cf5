#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "common/plan_conflicts.h"
#include "common/yaml_reader.h"

namespace holdfast::plan {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLongest = std::chrono::hours(24);
constexpr std::size_t kMostActions = 256;

std::optional<Prefix> parse_prefix(const std::string& text) {
  const std::size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  Prefix prefix;
  prefix.written = text;
  int width = 128;
  if (inet_pton(AF_INET, address.c_str(), &prefix.address[12]) == 1) {
    prefix.address[10] = prefix.address[11] = 0xff;
    width = 32;
  } else if (inet_pton(AF_INET6, address.c_str(), prefix.address.data()) != 1) {
    return std::nullopt;
  }
  int length = width;
  if (slash != std::string::npos) {
    const char* begin = text.data() + slash + 1;
    const auto [end, error] = std::from_chars(begin, text.data() + text.size(), length);
    if (error != std::errc() || end != text.data() + text.size() || length < 0 || length > width) {
      return std::nullopt;
    }
  }
  prefix.length = length + 128 - width;
  return prefix;
}

bool has_host_bits(const Prefix& prefix) {
  for (int bit = prefix.length; bit < 128; ++bit) {
    if ((prefix.address[bit / 8] >> (7 - bit % 8) & 1) != 0) {
      return true;
    }
  }
  return false;
}

std::optional<PortRange> parse_ports(const std::string& text) {
  const auto number = [](std::string_view part) -> std::optional<std::uint16_t> {
    std::uint16_t value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    return error == std::errc() && end == part.data() + part.size() && value > 0
               ? std::optional(value)
               : std::nullopt;
  };
  const std::size_t dash = text.find('-');
  const auto first = number(std::string_view(text).substr(0, dash));
  const auto last =
      dash == std::string::npos ? first : number(std::string_view(text).substr(dash + 1));
  if (!first || !last || *first > *last) {
    return std::nullopt;
  }
  return PortRange{*first, *last};
}

std::vector<PortRange> decode_ports(Reader& reader, const MapReader& map, const std::string& key) {
  std::vector<PortRange> ports;
  std::size_t index = 0;
  for (const YAML::Node& node : reader.list(map.get(key), map.path(key))) {
    const std::string path = fmt::format("{}[{}]", map.path(key), index++);
    const auto range = node.IsScalar() ? parse_ports(node.Scalar()) : std::nullopt;
    if (range) {
      ports.push_back(*range);
    } else {
      reader.report(node, path, "not a port", "1 to 65535, or a range such as \"8000-8100\"");
    }
  }
  return ports;
}

void decode_addresses(Reader& reader, const MapReader& map, Match& match) {
  std::size_t index = 0;
  for (const YAML::Node& node : reader.list(map.get("addresses"), map.path("addresses"))) {
    const std::string path = fmt::format("{}[{}]", map.path("addresses"), index++);
    const auto prefix = node.IsScalar() ? parse_prefix(node.Scalar()) : std::nullopt;
    if (!prefix) {
      reader.report(node, path, "not an address",
                    "an IPv4 or IPv6 address or prefix: 10.0.0.1, 10.0.0.0/8, fd00::/64; names go "
                    "into hosts");
    } else if (has_host_bits(*prefix)) {
      reader.report(node, path, "bits are set behind the prefix",
                    "the first address of the prefix");
    } else {
      match.addresses.push_back(*prefix);
    }
  }
}

Match decode_match(Reader& reader, const YAML::Node& node, const std::string& path) {
  MapReader map(reader, node, path,
                {"addresses", "hosts", "ports", "localPorts", "protocol", "direction",
                 "connections", "flows"});
  Match match;
  if (map.has("addresses")) {
    decode_addresses(reader, map, match);
  }
  if (map.has("hosts")) {
    std::size_t index = 0;
    for (const YAML::Node& host : reader.list(map.get("hosts"), map.path("hosts"))) {
      if (auto text = reader.text(host, fmt::format("{}.hosts[{}]", path, index++), 253)) {
        match.hosts.push_back(*text);
      }
    }
  }
  if (map.has("ports")) {
    match.ports = decode_ports(reader, map, "ports");
  }
  if (map.has("localPorts")) {
    match.local_ports = decode_ports(reader, map, "localPorts");
  }
  if (map.has("protocol")) {
    match.protocol = static_cast<Protocol>(
        reader.word(map.get("protocol"), map.path("protocol"), {"any", "tcp", "udp", "icmp"})
            .value_or(0));
  }
  if (map.has("direction")) {
    match.direction = static_cast<Direction>(
        reader.word(map.get("direction"), map.path("direction"), {"to", "from", "both"})
            .value_or(0));
  }
  if (map.has("connections")) {
    match.connections = static_cast<Connections>(
        reader.word(map.get("connections"), map.path("connections"), {"all", "new", "existing"})
            .value_or(0));
  }
  if (match.connections != Connections::all) {
    if (match.protocol != Protocol::any && match.protocol != Protocol::tcp) {
      reader.report(map.get("connections"), map.path("connections"),
                    fmt::format("{} opens no connections", to_string(match.protocol)),
                    "protocol tcp, or connections: all");
    }
    match.protocol = Protocol::tcp;
  }
  if (match.protocol == Protocol::icmp && (!match.ports.empty() || !match.local_ports.empty())) {
    reader.report(map.get("protocol"), map.path("protocol"), "icmp has no ports",
                  "protocol tcp or udp, or no ports");
  }
  return match;
}

Target decode_target(Reader& reader, const YAML::Node& node, const std::string& path) {
  MapReader map(reader, node, path, {"node", "netns", "pid", "interface"});
  Target target;
  target.where = reader.locate(node, path);
  if (map.has("node")) {
    target.node = reader.boolean(map.get("node"), map.path("node")).value_or(false);
  }
  target.netns = map.text("netns").value_or("");
  if (map.has("pid")) {
    target.pid =
        static_cast<int>(reader.integer(map.get("pid"), map.path("pid"), 1, 4'194'304).value_or(0));
  }
  target.interface = map.text("interface", 15).value_or("");
  const int places = (target.node ? 1 : 0) + (map.has("netns") ? 1 : 0) + (map.has("pid") ? 1 : 0);
  const bool interface_only = places == 0 && map.has("interface");
  if (map.valid() && ((places != 1 && !interface_only) || (target.node && map.has("interface")))) {
    reader.report(node, path, "not one place",
                  "exactly one of node: true, netns, pid, interface (interface also together with "
                  "netns or pid)");
  }
  return target;
}

Pulse decode_pulse(Reader& reader, const YAML::Node& node, const std::string& path) {
  // Below that the kernel's coarse clock, which moves some hundred times a second, would show.
  constexpr Duration kShortest = 100ms;
  MapReader map(reader, node, path, {"active", "dormant"});
  Pulse pulse{.active = kShortest, .dormant = kShortest};
  for (const auto& [key, into] :
       {std::pair{"active", &pulse.active}, {"dormant", &pulse.dormant}}) {
    if (map.require(key, "how long: 10s")) {
      *into = reader.duration(map.get(key), map.path(key), kShortest, kLongest).value_or(kShortest);
    }
  }
  return pulse;
}

std::vector<std::string> action_keys() {
  std::vector<std::string> keys = {"name",   "fault", "startAfter", "duration",
                                   "target", "match", "pulse",      "protected"};
  keys.insert(keys.end(), fault_words().begin(), fault_words().end());
  return keys;
}

void decode_flows(Reader& reader, const MapReader& action_map, Action& action) {
  if (!action_map.has("match") || !action_map.get("match").IsMap() ||
      !action_map.get("match")["flows"]) {
    return;
  }
  action.match.flows =
      reader.share(action_map.get("match")["flows"], action_map.path("match.flows")).value_or(1);
}

// The parameters at the start and, where numbers are schedules, at each moment at which one
// changes: whatever holds for parameters holds at all of them.
void decode_scheduled(Reader& reader, MapReader& map, Action& action) {
  const Action plain = action;
  const std::size_t mistakes = reader.mistakes();
  const auto decode = [&](Action& into) {
    decode_flows(reader, map, into);
    decode_parameters(reader, map, into);
  };
  reader.allow_schedules(action.duration);
  decode(action);
  const std::set<Duration> changes = reader.changes();
  for (const Duration moment : changes) {
    if (reader.mistakes() > mistakes) {
      break;
    }
    Action then = plain;
    reader.set_moment(moment);
    decode(then);
    action.schedule.push_back({.after = moment, .parameters = then, .flows = then.match.flows});
  }
  reader.forbid_schedules();
}

Action decode_action(Reader& reader, const YAML::Node& node, const std::string& path) {
  MapReader map(reader, node, path, action_keys());
  Action action;
  action.where = reader.locate(node, path);
  map.require("name", "a name of its own");
  action.name = map.text("name", 200).value_or("");
  const bool has_fault = map.require("fault", fmt::format("{}", fmt::join(fault_words(), ", ")));
  const auto fault =
      has_fault ? reader.word(map.get("fault"), map.path("fault"), fault_words()) : std::nullopt;
  if (map.has("startAfter")) {
    const auto text = map.text("startAfter");
    const auto duration = text ? parse_duration(*text) : Result<Duration>(Duration{});
    if (duration && *duration <= kLongest) {
      action.start_after = *duration;
    } else {
      action.start_after_action = *text;
    }
  }
  if (map.require("duration", "how long: 30s")) {
    action.duration =
        reader.duration(map.get("duration"), map.path("duration"), 1ms, kLongest).value_or(1s);
  }
  if (map.require("target", "{netns: NAME}, {interface: NAME}, {pid: N} or {node: true}")) {
    action.target = decode_target(reader, map.get("target"), map.path("target"));
  }
  if (map.has("match")) {
    action.match = decode_match(reader, map.get("match"), map.path("match"));
  }
  if (map.has("pulse")) {
    action.pulse = decode_pulse(reader, map.get("pulse"), map.path("pulse"));
  }
  if (map.has("protected")) {
    action.spare_protected =
        reader.word(map.get("protected"), map.path("protected"), {"spare"}).has_value();
  }
  if (fault) {
    action.fault = static_cast<FaultKind>(*fault);
    decode_scheduled(reader, map, action);
  }
  return action;
}

// An action may wait for another, that one for a third; it must end with one that waits for none.
void check_order(Reader& reader, const std::vector<Action>& actions,
                 const std::vector<YAML::Node>& nodes, const std::string& path) {
  const auto find = [&](const std::string& name) {
    return std::find_if(actions.begin(), actions.end(),
                        [&](const Action& one) { return one.name == name; });
  };
  for (std::size_t i = 0; i < actions.size(); ++i) {
    std::size_t steps = 0;
    const Action* at = &actions[i];
    while (!at->start_after_action.empty() && steps++ <= actions.size()) {
      const auto next = find(at->start_after_action);
      if (next == actions.end()) {
        break;
      }
      at = &*next;
    }
    const std::string key = fmt::format("{}[{}].startAfter", path, i);
    if (!actions[i].start_after_action.empty() &&
        find(actions[i].start_after_action) == actions.end()) {
      reader.report(nodes[i]["startAfter"], key, "neither a duration nor the name of an action",
                    "10s, or the name of another action");
    } else if (steps > actions.size()) {
      reader.report(nodes[i]["startAfter"], key, "waits for itself",
                    "an order that begins somewhere");
    }
  }
}

}  // namespace

std::vector<Action> decode_method(Reader& reader, const YAML::Node& node, const std::string& path) {
  std::vector<Action> actions;
  const std::vector<YAML::Node> nodes = reader.list(node, path);
  if (node.IsSequence() && (nodes.empty() || nodes.size() > kMostActions)) {
    reader.report(node, path, "not a usable number of actions",
                  fmt::format("1 to {}", kMostActions));
    return actions;
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const std::string at = fmt::format("{}[{}]", path, i);
    actions.push_back(decode_action(reader, nodes[i], at));
    const auto same = std::count_if(actions.begin(), actions.end(), [&](const Action& one) {
      return one.name == actions.back().name;
    });
    if (same > 1 && !actions.back().name.empty()) {
      reader.report(nodes[i]["name"], at + ".name", "two actions of one name",
                    "a name of its own for each");
    }
  }
  check_order(reader, actions, nodes, path);
  for (const Conflict& conflict : find_conflicts(actions)) {
    reader.report(nodes[conflict.action], fmt::format("{}[{}]", path, conflict.action),
                  conflict.message, conflict.accepted);
  }
  return actions;
}

}  // namespace holdfast::plan
