#include "agent/metrics_server.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <fmt/format.h>
#include <prometheus/exposer.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <charconv>
#include <chrono>
#include <exception>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "common/unique_fd.h"

namespace holdfast::agent {
namespace {

constexpr const char* kAccepted = "ADDRESS:PORT, such as 127.0.0.1:9464 or [::1]:9464";

std::unexpected<Error> refuse(const std::string& text, const std::string& why) {
  return fail(ErrorKind::usage, fmt::format("can't listen on \"{}\": {}", text, why), kAccepted);
}

bool is_ipv6(const ListenAddress& address) {
  return address.host.find(':') != std::string::npos;
}

// Connects and hangs up, without waiting for either.
void knock(const ListenAddress& address) {
  const int family = is_ipv6(address) ? AF_INET6 : AF_INET;
  const UniqueFd caller(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!caller) {
    return;
  }
  // To a wildcard address Linux connects over loopback.
  if (family == AF_INET6) {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(address.port);
    ::inet_pton(AF_INET6, address.host.c_str(), &to.sin6_addr);
    (void)::connect(caller.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
  } else {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(address.port);
    ::inet_pton(AF_INET, address.host.c_str(), &to.sin_addr);
    (void)::connect(caller.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }
}

}  // namespace

std::string ListenAddress::text() const {
  return is_ipv6(*this) ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Result<ListenAddress> parse_listen_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) {
    return refuse(text, "it takes an address and a port");
  }
  ListenAddress address;
  const char* end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data() + colon + 1, end, address.port);
  if (error != std::errc() || parsed != end || address.port == 0) {
    return refuse(text, "the port is a number from 1 to 65535");
  }
  address.host = text.substr(0, colon);
  if (address.host.empty()) {
    return refuse(text, "no address is given");
  }
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
  if (!brackets && ::inet_pton(AF_INET6, address.host.c_str(), &v6) == 1) {
    return refuse(text, "an IPv6 address is written in brackets");
  }
  return refuse(text, fmt::format("\"{}\" is not an IP address", address.host));
}

Result<MetricsServer> MetricsServer::start(const ListenAddress& address,
                                           const std::shared_ptr<prometheus::Collectable>& source) {
  if (is_ipv6(address) && mg_check_feature(MG_FEATURES_IPV6) == 0) {
    return fail(ErrorKind::unsupported,
                fmt::format("can't serve metrics on {}: the HTTP library of this system "
                            "(CivetWeb {}) was built without IPv6",
                            address.text(), mg_version()),
                "give an IPv4 address, such as 127.0.0.1");
  }
  try {
    // One thread answers, one is spare: a client that says nothing must not keep Prometheus out.
    auto exposer = std::make_unique<prometheus::Exposer>(std::vector<std::string>{
        "listening_ports", address.text(), "num_threads", "2", "request_timeout_ms", "2000"});
    exposer->RegisterCollectable(source);
    return MetricsServer(address, std::move(exposer));
  } catch (const std::exception& error) {
    // The library says only that it could not start.
    return fail(ErrorKind::unavailable,
                fmt::format("can't serve metrics on {}: {}", address.text(), error.what()),
                "see with `ss -ltnp` who has the port, and that the address is this node's; or "
                "choose another");
  }
}

MetricsServer::MetricsServer(ListenAddress address, std::unique_ptr<prometheus::Exposer> exposer)
    : address_(std::move(address)), exposer_(std::move(exposer)) {}
MetricsServer::MetricsServer(MetricsServer&&) noexcept = default;

MetricsServer::~MetricsServer() {
  if (!exposer_) {
    return;  // moved from
  }
  // Before 1.16 CivetWeb sees that it is to stop only when a poll of two seconds is over, or when
  // somebody calls. The end of a run shall not wait for it.
  std::jthread caller;
  try {
    caller = std::jthread([this](const std::stop_token& stopped) {
      while (!stopped.stop_requested()) {
        knock(address_);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    });
  } catch (const std::system_error& error) {
    spdlog::debug("the end waits for the metrics server: {}", error.what());
  }
  exposer_.reset();
}

}  // namespace holdfast::agent
