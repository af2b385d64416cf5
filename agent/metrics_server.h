// Serves metrics to Prometheus over HTTP, at /metrics. Without authentication: by default nobody
// is served, and whoever asks for it names the address.
#pragma once

#include <prometheus/collectable.h>

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
  // Listens in the network namespace of the calling thread. `source` must live as long as the
  // server. Errors: unavailable (the address is in use, or is not this node's).
  static Result<MetricsServer> start(const ListenAddress& address,
                                     const std::shared_ptr<prometheus::Collectable>& source);
  MetricsServer(MetricsServer&&) noexcept;
  MetricsServer& operator=(MetricsServer&&) noexcept;
  // Ends the scrape that is under way, if any; takes up to two seconds while a client holds a
  // connection open.
  ~MetricsServer();

 private:
  explicit MetricsServer(std::unique_ptr<prometheus::Exposer> exposer);
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace holdfast::agent
