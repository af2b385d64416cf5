#include "agent/metrics_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <prometheus/exposer.h>

#include <charconv>
#include <exception>
#include <vector>

namespace holdfast::agent {
namespace {

constexpr const char* kAccepted = "ADDRESS:PORT, such as 127.0.0.1:9464 or [::1]:9464";

std::unexpected<Error> refuse(const std::string& text, const std::string& why) {
  return fail(ErrorKind::usage, fmt::format("can't listen on \"{}\": {}", text, why), kAccepted);
}

}  // namespace

std::string ListenAddress::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

Result<ListenAddress> parse_listen_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) {
    return refuse(text, "no port is given");
  }
  ListenAddress address;
  const char* end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data() + colon + 1, end, address.port);
  if (error != std::errc() || parsed != end || address.port == 0) {
    return refuse(text, "the port is a number from 1 to 65535");
  }
  address.host = text.substr(0, colon);
  if (address.host == "localhost") {
    address.host = "127.0.0.1";
  }
  const bool brackets = address.host.starts_with('[') && address.host.ends_with(']');
  if (brackets) {
    address.host = address.host.substr(1, address.host.size() - 2);
  }
  in_addr v4{};
  in6_addr v6{};
  if (!brackets && ::inet_pton(AF_INET, address.host.c_str(), &v4) == 1) {
    constexpr std::uint32_t kLoopbackNet = 127;
    address.loopback = ntohl(v4.s_addr) >> 24 == kLoopbackNet;
    return address;
  }
  if (brackets && ::inet_pton(AF_INET6, address.host.c_str(), &v6) == 1) {
    address.loopback = IN6_IS_ADDR_LOOPBACK(&v6);
    return address;
  }
  return refuse(text, "not an address of this node");
}

Result<MetricsServer> MetricsServer::start(const ListenAddress& address,
                                           const std::shared_ptr<prometheus::Collectable>& source) {
  try {
    // One thread answers, one is spare: a client that says nothing must not keep Prometheus out.
    auto exposer = std::make_unique<prometheus::Exposer>(std::vector<std::string>{
        "listening_ports", address.text(), "num_threads", "2", "request_timeout_ms", "2000"});
    exposer->RegisterCollectable(source);
    return MetricsServer(std::move(exposer));
  } catch (const std::exception& error) {
    // The library says only that it could not start.
    return fail(ErrorKind::unavailable,
                fmt::format("can't serve metrics on {}: {}", address.text(), error.what()),
                "see with `ss -ltnp` who has the port, and that the address is this node's; or "
                "choose another");
  }
}

MetricsServer::MetricsServer(std::unique_ptr<prometheus::Exposer> exposer)
    : exposer_(std::move(exposer)) {}
MetricsServer::MetricsServer(MetricsServer&&) noexcept = default;
MetricsServer& MetricsServer::operator=(MetricsServer&&) noexcept = default;
MetricsServer::~MetricsServer() = default;

}  // namespace holdfast::agent
