// The parameters of each fault.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "common/yaml_reader.h"

namespace holdfast::plan {
namespace {

using namespace std::chrono_literals;

void decode_names(Reader& reader, const MapReader& map, const std::string& key, bool root,
                  std::vector<std::string>& names) {
  std::size_t index = 0;
  for (const YAML::Node& node : reader.list(map.get(key), map.path(key))) {
    const std::string path = fmt::format("{}[{}]", map.path(key), index++);
    auto text = reader.text(node, path, 254);
    if (!text) {
      continue;
    }
    if (*text == "." && root) {
      names.push_back(*text);
      continue;
    }
    if (text->ends_with('.')) {
      text->pop_back();
    }
    std::transform(text->begin(), text->end(), text->begin(), [](unsigned char c) {
      return static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    });
    std::size_t label = 0;
    bool fine = !text->empty() && text->size() <= 253;
    for (const char c : *text + ".") {
      const bool known =
          (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '*';
      fine = fine && (c == '.' ? label >= 1 && label <= 63 : known);
      label = c == '.' ? 0 : label + 1;
    }
    if (fine) {
      names.push_back(*text);
    } else {
      reader.report(node, path, "not a DNS name",
                    "labels of 1 to 63 letters, digits, - or _, 253 characters in all; other "
                    "alphabets as xn--…");
    }
  }
}

void decode_dns(Reader& reader, MapReader& action_map, Action& action) {
  if (!action_map.require("dns", "{response: nxdomain, names: […]} ")) {
    return;
  }
  MapReader map(reader, action_map.get("dns"), action_map.path("dns"),
                {"response", "names", "zones"});
  if (map.require("response", "nxdomain, servfail, refused, timeout")) {
    action.dns.response =
        static_cast<DnsResponse>(reader
                                     .word(map.get("response"), map.path("response"),
                                           {"nxdomain", "servfail", "refused", "timeout"})
                                     .value_or(0));
  }
  if (map.has("names")) {
    decode_names(reader, map, "names", false, action.dns.names);
  }
  if (map.has("zones")) {
    decode_names(reader, map, "zones", true, action.dns.zones);
  }
  if (map.valid() && !map.has("names") && !map.has("zones")) {
    reader.report(map.node(), action_map.path("dns"), "no name is given", "names or zones");
  }
  if (action.match.protocol != Protocol::any && action.match.protocol != Protocol::udp) {
    reader.report(action_map.node(), action_map.path("match.protocol"),
                  "only DNS over UDP is answered",
                  "protocol udp; cut DNS over TCP with a blackhole of tcp port 53");
  }
  action.match.protocol = Protocol::udp;
  if (action.match.ports.empty()) {
    action.match.ports = {{53, 53}};
  }
}

// How much may wait where the plan does not say: a quarter of a second, and at least as much as the
// first flight of a connection (RFC 6928) with one packet more.
constexpr Duration kQueue = 250ms;
constexpr std::uint64_t kLeastQueue = 11 * 1514;
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;

std::uint64_t bytes_in(Duration duration, double bits_per_second) {
  return static_cast<std::uint64_t>(std::chrono::duration<double>(duration).count() *
                                    bits_per_second / 8);
}

// "64KiB", or as much as the link carries in "100ms".
std::uint64_t decode_queue(Reader& reader, const MapReader& map, double bits_per_second) {
  const YAML::Node node = map.get("queue");
  const bool timed = node.IsScalar() && parse_duration(node.Scalar()).has_value();
  if (timed) {
    const auto time = reader.duration(node, map.path("queue"), 1ms, 60s).value_or(kQueue);
    return std::min(bytes_in(time, bits_per_second), kMostBytes);
  }
  return reader.bytes(node, map.path("queue"), kMostBytes).value_or(kLeastQueue);
}

void decode_bandwidth(Reader& reader, MapReader& action_map, Action& action) {
  if (!action_map.require("bandwidth", "{rate: 10mbit}")) {
    return;
  }
  MapReader map(reader, action_map.get("bandwidth"), action_map.path("bandwidth"),
                {"rate", "burst", "queue", "per"});
  BandwidthParams& params = action.bandwidth;
  if (!map.require("rate", "how fast: 10mbit")) {
    return;
  }
  params.bits_per_second = reader.rate(map.get("rate"), map.path("rate"), 1e3, 1e11).value_or(1e6);
  if (map.has("burst")) {
    params.burst = reader.bytes(map.get("burst"), map.path("burst"), kMostBytes).value_or(0);
  }
  params.queue = std::clamp(bytes_in(kQueue, params.bits_per_second), kLeastQueue, kMostBytes);
  if (map.has("queue")) {
    params.queue = decode_queue(reader, map, params.bits_per_second);
  }
  if (map.has("per")) {
    params.per_connection =
        reader.word(map.get("per"), map.path("per"), {"target", "connection"}) == 1U;
  }
  params.written =
      fmt::format("{}{}, {} may wait", format_rate(params.bits_per_second),
                  params.per_connection ? " for each connection" : "", format_bytes(params.queue));
}

void decode_reorder(Reader& reader, MapReader& action_map, Action& action) {
  if (!action_map.require("reorder", "{percent: 10%, delay: 10ms}")) {
    return;
  }
  MapReader map(reader, action_map.get("reorder"), action_map.path("reorder"),
                draw_keys({"delay"}));
  decode_draw(reader, map, action.draw);
  if (map.require("delay", "how late they are: 10ms")) {
    action.reorder.delay =
        reader.duration(map.get("delay"), map.path("delay"), 1us, 10min).value_or(1ms);
  }
}

void decode_corrupt(Reader& reader, MapReader& action_map, Action& action) {
  if (!action_map.require("corrupt", "{percent: 1%}")) {
    return;
  }
  MapReader map(reader, action_map.get("corrupt"), action_map.path("corrupt"),
                draw_keys({"checksum"}));
  decode_draw(reader, map, action.draw);
  if (map.has("checksum")) {
    action.corrupt.fix_checksum =
        reader.word(map.get("checksum"), map.path("checksum"), {"wrong", "mended"}) == 1U;
  }
}

}  // namespace

const std::vector<std::string>& fault_words() {
  static const std::vector<std::string> kWords = {"noop",    "blackhole", "loss",      "dns",
                                                  "latency", "bandwidth", "duplicate", "reorder",
                                                  "corrupt"};  // in the order of FaultKind
  return kWords;
}

void decode_parameters(Reader& reader, MapReader& map, Action& action) {
  const std::string& own = fault_words()[static_cast<std::size_t>(action.fault)];
  for (const std::string& other : fault_words()) {
    if (other != own && map.has(other)) {
      reader.report(map.get(other), map.path(other),
                    fmt::format("parameters of {}, but the fault is {}", other, own), own);
    }
  }
  if (action.fault == FaultKind::blackhole && map.has("blackhole")) {
    MapReader parameters(reader, map.get("blackhole"), map.path("blackhole"), {"how"});
    if (parameters.has("how")) {
      action.blackhole.how =
          static_cast<BlackholeHow>(reader
                                        .word(parameters.get("how"), parameters.path("how"),
                                              {"drop", "refuse", "unreachable", "reset"})
                                        .value_or(0));
    }
  } else if (action.fault == FaultKind::loss && map.require("loss", "{percent: 10%}")) {
    const MapReader parameters(reader, map.get("loss"), map.path("loss"),
                               draw_keys({"gilbertElliott"}));
    decode_draw(reader, parameters, action.draw, true);
  } else if (action.fault == FaultKind::duplicate && map.require("duplicate", "{percent: 10%}")) {
    const MapReader parameters(reader, map.get("duplicate"), map.path("duplicate"), draw_keys({}));
    decode_draw(reader, parameters, action.draw);
  } else if (action.fault == FaultKind::bandwidth) {
    decode_bandwidth(reader, map, action);
  } else if (action.fault == FaultKind::reorder) {
    decode_reorder(reader, map, action);
  } else if (action.fault == FaultKind::corrupt) {
    decode_corrupt(reader, map, action);
  } else if (action.fault == FaultKind::dns) {
    decode_dns(reader, map, action);
  } else if (action.fault == FaultKind::latency) {
    decode_latency(reader, map, action);
  } else if (action.fault == FaultKind::noop && map.has("noop")) {
    const MapReader parameters(reader, map.get("noop"), map.path("noop"), {});
  }
}

}  // namespace holdfast::plan
