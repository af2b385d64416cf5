#include "controller/preflight.h"

#include <fmt/format.h>

#include <charconv>
#include <thread>

namespace holdfast {

std::vector<agent::ProtectedPeer> peers_of(const plan::Experiment& experiment) {
  const std::string& url = experiment.prometheus.url;
  const bool tls = url.starts_with("https");
  std::string host = url.substr(url.find("://") + 3);
  host = host.substr(0, host.find('/'));
  std::uint16_t port = tls ? 443 : 80;
  const std::size_t colon = host.rfind(':');
  if (colon != std::string::npos && host.find(']', colon) == std::string::npos) {
    std::from_chars(host.data() + colon + 1, host.data() + host.size(), port);
    host.resize(colon);
  }
  return {{.host = host,
           .port = port,
           .netns = experiment.prometheus.netns,
           .why = "the plan's Prometheus"}};
}

Result<void> check_queries(const std::vector<const plan::Probe*>& probes,
                           const verify::EvaluatorFactory& factory) {
  // In a thread of its own: the evaluator may move to another network namespace.
  Result<void> result;
  std::thread([&] {
    auto evaluator = factory();
    if (!evaluator) {
      result = std::unexpected(evaluator.error());
      return;
    }
    for (const plan::Probe* probe : probes) {
      result = (*evaluator)->check_query(*probe);
      if (!result) {
        result = std::unexpected(result.error().with_context(
            fmt::format("{}:{}: probe \"{}\"", probe->where.file, probe->where.line, probe->name)));
        return;
      }
    }
  }).join();
  return result;
}

}  // namespace holdfast
