// Serves metrics to Prometheus over HTTP, at /metrics. Without authentication: by default nobody
// is served, and whoever asks for it names the address.
#pragma once

#include <prometheus/collectable.h>

#include <cstdint>
#include <memory>
#include <string>

#include "common/result.h"

namespace prometheus {
class Exposer;
}

namespace holdfast::agent {

// Where to listen: an address of this node and a port.
struct ListenAddress {
  std::string host;  // an IPv4 or IPv6 address, without brackets
  std::uint16_t port = 0;
  bool loopback = false;

  std::string text() const;  // "127.0.0.1:9464", "[::1]:9464"
};

// "127.0.0.1:9464", "[::1]:9464" or "localhost:9464" (IPv4). Names are not resolved: where a server
// listens must not depend on a name server. Errors: usage.
Result<ListenAddress> parse_listen_address(const std::string& text);

class MetricsServer {
 public:
  // Listens in the network namespace of the calling thread, which has to be in it again when the
  // server goes. `source` must live as long as the server. Errors: unavailable (the address is in
  // use, or is not this node's), unsupported (IPv6, where the HTTP library was built without it).
  static Result<MetricsServer> start(const ListenAddress& address,
                                     const std::shared_ptr<prometheus::Collectable>& source);
  MetricsServer(MetricsServer&&) noexcept;
  MetricsServer& operator=(MetricsServer&&) = delete;
  // Ends the scrape that is under way, if any. Takes some milliseconds; up to two seconds while a
  // client keeps a connection open over which it says nothing or reads nothing.
  ~MetricsServer();

 private:
  MetricsServer(ListenAddress address, std::unique_ptr<prometheus::Exposer> exposer);
  ListenAddress address_;
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace holdfast::agent
