// The parameters of each fault.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/yaml_reader.h"

namespace holdfast::plan {
namespace {

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

constexpr const char* kShare = "above 0%, at most 100%";
const std::vector<std::string> kLossKeys = {"percent", "correlation", "burstLength",
                                            "gilbertElliott", "every"};

void decode_gilbert_elliott(Reader& reader, const MapReader& loss, LossParams& params) {
  MapReader map(reader, loss.get("gilbertElliott"), loss.path("gilbertElliott"),
                {"goodToBad", "badToGood", "lossInGood", "lossInBad"});
  constexpr bool kOrNone = true;
  if (map.require("goodToBad", kShare)) {
    params.chain.to_bad = reader.share(map.get("goodToBad"), map.path("goodToBad")).value_or(1);
  }
  if (map.require("badToGood", kShare)) {
    params.chain.to_good = reader.share(map.get("badToGood"), map.path("badToGood")).value_or(1);
  }
  if (map.has("lossInGood")) {
    params.chain.loss_in_good =
        reader.share(map.get("lossInGood"), map.path("lossInGood"), kOrNone).value_or(0);
  }
  if (map.has("lossInBad")) {
    params.chain.loss_in_bad =
        reader.share(map.get("lossInBad"), map.path("lossInBad"), kOrNone).value_or(1);
  }
  params.how = LossParams::How::chain;
  params.written = fmt::format(
      "{} by Gilbert-Elliott (good to bad {}, bad to good {}, {} and {} lost)",
      format_percent({params.expected_share()}), format_percent({params.chain.to_bad}),
      format_percent({params.chain.to_good}), format_percent({params.chain.loss_in_good}),
      format_percent({params.chain.loss_in_bad}));
  if (map.valid() && params.expected_share() <= 0) {
    reader.report(loss.get("gilbertElliott"), loss.path("gilbertElliott"), "no loss at all",
                  "lossInGood or lossInBad above 0%");
  }
}

// Bursts that are `length` packets long on average, at a loss of `percent` in all.
void decode_bursts(Reader& reader, const MapReader& map, LossParams& params) {
  const double lost = params.percent.share;
  // The link leaves its good state with to_bad <= 1, so the pauses are a packet long at least.
  const double least = std::max(1.0, lost / (1 - lost));
  const auto length = reader.number(map.get("burstLength"), map.path("burstLength"));
  if (!length) {
    return;
  }
  if (*length < least || *length > 1e6) {
    reader.report(map.get("burstLength"), map.path("burstLength"), "not a possible length",
                  fmt::format("{:.4g} to 1000000 packets at a loss of {}", least,
                              format_percent(params.percent)));
    return;
  }
  params.how = LossParams::How::chain;
  params.chain = {.to_bad = lost / (1 - lost) / *length, .to_good = 1 / *length};
  params.written += fmt::format(" in bursts of {:.4g}", *length);
}

// A packet shares the fate of the one before with the probability `correlation`, and has one of its
// own else: the rate stays, and the autocorrelation of neighbours is `correlation`.
void decode_correlation(Reader& reader, const MapReader& map, LossParams& params) {
  const auto same = reader.share(map.get("correlation"), map.path("correlation"));
  if (!same) {
    return;
  }
  if (*same >= 1) {
    reader.report(map.get("correlation"), map.path("correlation"), "nothing would ever change",
                  "above 0%, below 100%");
    return;
  }
  const double lost = params.percent.share;
  params.how = LossParams::How::chain;
  params.chain = {.to_bad = (1 - *same) * lost, .to_good = (1 - *same) * (1 - lost)};
  params.written += fmt::format(" with correlation {}", format_percent({*same}));
}

void decode_percent(Reader& reader, const MapReader& map, LossParams& params) {
  const auto lost = reader.share(map.get("percent"), map.path("percent"));
  if (!lost) {
    return;
  }
  params.percent.share = *lost;
  params.written = format_percent(params.percent);
  const char* shape = map.has("burstLength") ? "burstLength" : "correlation";
  if (!map.has(shape)) {
    return;
  }
  if (map.has("burstLength") && map.has("correlation")) {
    reader.report(map.get("correlation"), map.path("correlation"), "one of the two decides",
                  "burstLength or correlation");
  } else if (*lost >= 1) {
    reader.report(map.get(shape), map.path(shape), "everything is lost anyway",
                  "a percent below 100%");
  } else if (map.has("burstLength")) {
    decode_bursts(reader, map, params);
  } else {
    decode_correlation(reader, map, params);
  }
}

void decode_loss(Reader& reader, const MapReader& map, Action& action) {
  LossParams& params = action.loss;
  const int shapes = static_cast<int>(map.has("percent")) + static_cast<int>(map.has("every")) +
                     static_cast<int>(map.has("gilbertElliott"));
  if (map.valid() && shapes != 1) {
    reader.report(map.node(), map.path(""), "not one loss",
                  "exactly one of percent, every, gilbertElliott");
    return;
  }
  for (const char* key : {"burstLength", "correlation"}) {
    if (map.has(key) && !map.has("percent")) {
      reader.report(map.get(key), map.path(key), "shapes a loss of some percent",
                    "percent beside it");
    }
  }
  if (map.has("every")) {
    params.every = static_cast<int>(
        reader.integer(map.get("every"), map.path("every"), 1, 1'000'000'000).value_or(1));
    params.how = LossParams::How::every;
    params.written =
        params.every == 1 ? "of every packet" : fmt::format("of one packet in {}", params.every);
  } else if (map.has("gilbertElliott")) {
    decode_gilbert_elliott(reader, map, params);
  } else if (map.has("percent")) {
    decode_percent(reader, map, params);
  }
}

}  // namespace

const std::vector<std::string>& fault_words() {
  static const std::vector<std::string> kWords = {"noop", "blackhole", "loss", "dns",
                                                  "latency"};  // in the order of FaultKind
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
                                              {"drop", "refuse", "unreachable"})
                                        .value_or(0));
    }
  } else if (action.fault == FaultKind::loss && map.require("loss", "{percent: 10%}")) {
    decode_loss(reader, MapReader(reader, map.get("loss"), map.path("loss"), kLossKeys), action);
  } else if (action.fault == FaultKind::dns) {
    decode_dns(reader, map, action);
  } else if (action.fault == FaultKind::latency) {
    decode_latency(reader, map, action);
  } else if (action.fault == FaultKind::noop && map.has("noop")) {
    const MapReader parameters(reader, map.get("noop"), map.path("noop"), {});
  }
}

}  // namespace holdfast::plan
