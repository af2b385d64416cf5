#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <regex>

#include "common/yaml_reader.h"

namespace holdfast::plan {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLongest = std::chrono::hours(24);
constexpr std::size_t kLongestQuery = 16 * 1024;
constexpr std::size_t kMostProbes = 1000;

void decode_metadata(Reader& reader, const YAML::Node& node, Experiment& experiment) {
  MapReader map(reader, node, "metadata", {"name", "title", "description", "tags"});
  static const std::regex kName("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?");
  if (map.require("name", "a short name: lower-case letters, digits and -")) {
    experiment.name = map.text("name").value_or("");
    if (!experiment.name.empty() && !std::regex_match(experiment.name, kName)) {
      reader.report(map.get("name"), map.path("name"), "not a name",
                    "lower-case letters, digits and -, at most 63");
    }
  }
  experiment.title = map.text("title").value_or("");
  experiment.description = map.text("description").value_or("");
  if (map.has("tags")) {
    std::size_t index = 0;
    for (const YAML::Node& tag : reader.list(map.get("tags"), map.path("tags"))) {
      if (auto text = reader.text(tag, fmt::format("metadata.tags[{}]", index++))) {
        experiment.tags.push_back(*text);
      }
    }
  }
}

void decode_tls(Reader& reader, const MapReader& parent, PrometheusConfig& config) {
  MapReader map(reader, parent.get("tls"), parent.path("tls"),
                {"caFile", "certFile", "keyFile", "serverName", "insecureSkipVerify"});
  config.tls.ca_file = map.text("caFile").value_or("");
  config.tls.cert_file = map.text("certFile").value_or("");
  config.tls.key_file = map.text("keyFile").value_or("");
  config.tls.server_name = map.text("serverName").value_or("");
  if (map.has("insecureSkipVerify")) {
    config.tls.insecure_skip_verify =
        reader.boolean(map.get("insecureSkipVerify"), map.path("insecureSkipVerify"))
            .value_or(false);
  }
  if (config.tls.cert_file.empty() != config.tls.key_file.empty()) {
    reader.report(map.node(), parent.path("tls"), "a client certificate needs its key",
                  "certFile and keyFile together");
  }
}

void decode_basic_auth(Reader& reader, const MapReader& parent, PrometheusConfig& config) {
  MapReader map(reader, parent.get("basicAuth"), parent.path("basicAuth"),
                {"username", "password", "passwordFile"});
  PrometheusConfig::BasicAuth auth;
  map.require("username", "the user's name");
  auth.username = map.text("username").value_or("");
  auth.password = map.text("password").value_or("");
  auth.password_file = map.text("passwordFile").value_or("");
  if (map.has("password") == map.has("passwordFile")) {
    reader.report(map.node(), parent.path("basicAuth"), "one password is wanted",
                  "either password or passwordFile");
  }
  config.basic_auth = auth;
}

void decode_prometheus(Reader& reader, const MapReader& spec, PrometheusConfig& config) {
  MapReader map(
      reader, spec.get("prometheus"), spec.path("prometheus"),
      {"url", "netns", "bearerTokenFile", "basicAuth", "tls", "scrapeInterval", "timeout"});
  config.where = reader.locate(map.node(), spec.path("prometheus"));
  static const std::regex kUrl(
      "https?://(\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[^\\s?#]*)?");
  if (map.require("url", "http://HOST:PORT")) {
    config.url = map.text("url").value_or("");
    if (!config.url.empty() && !std::regex_match(config.url, kUrl)) {
      reader.report(map.get("url"), map.path("url"), "not the address of a Prometheus",
                    "http(s)://HOST[:PORT][/PATH]");
    }
    while (config.url.ends_with('/')) {
      config.url.pop_back();
    }
  }
  config.netns = map.text("netns").value_or("");
  config.bearer_token_file = map.text("bearerTokenFile").value_or("");
  if (map.has("basicAuth")) {
    decode_basic_auth(reader, map, config);
  }
  if (config.basic_auth && !config.bearer_token_file.empty()) {
    reader.report(map.node(), spec.path("prometheus"), "two ways to log in",
                  "either basicAuth or bearerTokenFile");
  }
  if (map.has("tls")) {
    decode_tls(reader, map, config);
  }
  config.timeout = 3s;
  if (map.has("timeout")) {
    config.timeout =
        reader.duration(map.get("timeout"), map.path("timeout"), 10ms, 1min).value_or(3s);
  }
  if (map.has("scrapeInterval")) {
    config.scrape_interval =
        reader.duration(map.get("scrapeInterval"), map.path("scrapeInterval"), 1ms, kLongest);
  }
}

std::optional<Tolerance> parse_tolerance(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, Comparison>, 6> kSigns = {
      {{">=", Comparison::ge},
       {"<=", Comparison::le},
       {"==", Comparison::eq},
       {"!=", Comparison::ne},
       {">", Comparison::gt},
       {"<", Comparison::lt}}};
  for (const auto& [sign, comparison] : kSigns) {
    if (!text.starts_with(sign)) {
      continue;
    }
    text.remove_prefix(sign.size());
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    const bool percent = text.ends_with('%');
    if (percent) {
      text.remove_suffix(1);
    }
    double bound = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bound);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(bound)) {
      return std::nullopt;
    }
    return Tolerance{comparison, percent ? bound / 100 : bound};
  }
  return std::nullopt;
}

Probe decode_probe(Reader& reader, const YAML::Node& node, const std::string& path,
                   bool stop_condition, Duration interval) {
  std::vector<std::string> keys = {"name",    "type", "query", "tolerance", "failureThreshold",
                                   "interval"};
  if (!stop_condition) {
    keys.emplace_back("when");
  }
  MapReader map(reader, node, path, keys);
  Probe probe;
  probe.where = reader.locate(node, path);
  probe.when = {When::before, When::during, When::after};
  probe.interval = interval;
  map.require("name", "a name that says what must hold");
  probe.name = map.text("name", 200).value_or("");
  if (map.require("type", "prometheus")) {
    reader.word(map.get("type"), map.path("type"), {"prometheus"});
  }
  map.require("query", "a PromQL expression");
  probe.query = map.text("query", kLongestQuery).value_or("");
  if (map.require("tolerance", "\">= 0.99\"")) {
    const auto text = map.text("tolerance");
    const auto tolerance = text ? parse_tolerance(*text) : std::nullopt;
    if (text && !tolerance) {
      reader.report(map.get("tolerance"), map.path("tolerance"), "not a tolerance",
                    "a comparison (>= <= > < == !=) and a number: \">= 0.99\", \"< 5%\"");
    }
    probe.tolerance = tolerance.value_or(Tolerance{});
  }
  if (map.has("failureThreshold")) {
    probe.failure_threshold = static_cast<int>(
        reader.integer(map.get("failureThreshold"), map.path("failureThreshold"), 1, 1000)
            .value_or(1));
  }
  if (map.has("interval")) {
    probe.interval =
        reader.duration(map.get("interval"), map.path("interval"), 100ms, 1h).value_or(interval);
  }
  if (map.has("when")) {
    probe.when.clear();
    std::size_t index = 0;
    for (const YAML::Node& when : reader.list(map.get("when"), map.path("when"))) {
      if (auto word = reader.word(when, fmt::format("{}.when[{}]", path, index++),
                                  {"before", "during", "after"})) {
        probe.when.insert(static_cast<When>(*word));
      }
    }
    if (map.get("when").IsSequence() && map.get("when").size() == 0) {
      reader.report(map.get("when"), map.path("when"), "never asked",
                    "at least one of before, during, after");
    }
  }
  return probe;
}

void decode_probes(Reader& reader, const MapReader& map, const std::string& key,
                   bool stop_condition, Duration interval, std::vector<Probe>& probes,
                   std::set<std::string>& names) {
  const std::vector<YAML::Node> list = reader.list(map.get(key), map.path(key));
  if (list.size() > kMostProbes || (list.empty() && map.get(key).IsSequence() && !stop_condition)) {
    reader.report(map.get(key), map.path(key), "not a usable number of probes",
                  fmt::format("1 to {}", kMostProbes));
    return;
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string path = fmt::format("{}[{}]", map.path(key), i);
    probes.push_back(decode_probe(reader, list[i], path, stop_condition, interval));
    if (!probes.back().name.empty() && !names.insert(probes.back().name).second) {
      reader.report(list[i]["name"], path + ".name", "two probes of one name",
                    "a name of its own for each");
    }
  }
}

void decode_spec(Reader& reader, const YAML::Node& node, Experiment& experiment) {
  MapReader map(reader, node, "spec",
                {"prometheus", "steadyStateHypothesis", "stopConditions", "method", "recovery"});
  if (map.require("prometheus", "{url: \"http://HOST:9090\"}")) {
    decode_prometheus(reader, map, experiment.prometheus);
  }
  std::set<std::string> names;
  experiment.baseline = 5s;
  Duration interval = 1s;
  if (map.require("steadyStateHypothesis", "a map with probes")) {
    MapReader hypothesis(reader, map.get("steadyStateHypothesis"),
                         map.path("steadyStateHypothesis"), {"baseline", "interval", "probes"});
    if (hypothesis.has("baseline")) {
      experiment.baseline =
          reader.duration(hypothesis.get("baseline"), hypothesis.path("baseline"), 0s, kLongest)
              .value_or(5s);
    }
    if (hypothesis.has("interval")) {
      interval = reader.duration(hypothesis.get("interval"), hypothesis.path("interval"), 100ms, 1h)
                     .value_or(1s);
    }
    if (hypothesis.require("probes", "a list of probes")) {
      decode_probes(reader, hypothesis, "probes", false, interval, experiment.probes, names);
    }
  }
  if (map.has("stopConditions")) {
    decode_probes(reader, map, "stopConditions", true, interval, experiment.stop_conditions, names);
  }
  if (map.require("method", "a list of actions")) {
    experiment.method = decode_method(reader, map.get("method"), map.path("method"));
  }
  experiment.recovery_within = 30s;
  if (map.has("recovery")) {
    MapReader recovery(reader, map.get("recovery"), map.path("recovery"), {"within"});
    if (recovery.has("within")) {
      experiment.recovery_within =
          reader.duration(recovery.get("within"), recovery.path("within"), 0s, kLongest)
              .value_or(30s);
    }
  }
}

}  // namespace

Experiment decode_experiment(Reader& reader, const YAML::Node& document, const std::string& file) {
  Experiment experiment;
  experiment.file = file;
  MapReader map(reader, document, "", {"apiVersion", "kind", "metadata", "spec"});
  if (map.require("apiVersion", "holdfast/v1")) {
    reader.word(map.get("apiVersion"), "apiVersion", {"holdfast/v1"});
  }
  if (map.require("kind", "Experiment")) {
    reader.word(map.get("kind"), "kind", {"Experiment"});
  }
  if (map.require("metadata", "{name: …}")) {
    decode_metadata(reader, map.get("metadata"), experiment);
  }
  if (map.require("spec", "a map")) {
    decode_spec(reader, map.get("spec"), experiment);
  }
  return experiment;
}

}  // namespace holdfast::plan
