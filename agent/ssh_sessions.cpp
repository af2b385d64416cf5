#include "agent/ssh_sessions.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace holdfast::agent {
namespace {

constexpr std::uint16_t kSshPort = 22;
constexpr std::string_view kEstablished = "01";  // TCP_ESTABLISHED
constexpr std::size_t kWordDigits = 8;

struct Endpoint {
  plan::Prefix address;
  std::uint16_t port = 0;
};

template <typename Number>
bool parse_hex(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  return error == std::errc() && end == text.data() + text.size();
}

// "0100007F:0016": each word of the address is printed as a number of this machine's byte order
// that holds network-order bytes.
std::optional<Endpoint> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon != kWordDigits && colon != 4 * kWordDigits) {
    return std::nullopt;
  }
  Endpoint endpoint;
  auto& bytes = endpoint.address.address;
  const bool v4 = colon == kWordDigits;
  if (v4) {
    bytes[10] = bytes[11] = 0xff;
  }
  for (std::size_t i = 0; i < colon / kWordDigits; ++i) {
    std::uint32_t word = 0;
    if (!parse_hex(text.substr(i * kWordDigits, kWordDigits), word)) {
      return std::nullopt;
    }
    std::memcpy(bytes.data() + (v4 ? 12 : 4 * i), &word, sizeof word);
  }
  if (!parse_hex(text.substr(colon + 1), endpoint.port)) {
    return std::nullopt;
  }
  std::array<char, INET6_ADDRSTRLEN> written{};
  const bool mapped = v4 || IN6_IS_ADDR_V4MAPPED(reinterpret_cast<const in6_addr*>(bytes.data()));
  ::inet_ntop(mapped ? AF_INET : AF_INET6, bytes.data() + (mapped ? 12 : 0), written.data(),
              written.size());
  endpoint.address.written = written.data();
  return endpoint;
}

}  // namespace

std::set<std::uint16_t> ssh_ports() {
  std::set<std::uint16_t> ports = {kSshPort};
  // No thread of ours ever changes the environment.
  const char* session = std::getenv("SSH_CONNECTION");  // NOLINT(concurrency-mt-unsafe)
  if (session != nullptr) {
    std::istringstream words(session);  // client, client's port, server, server's port
    std::string client, client_port, server;
    std::uint16_t server_port = 0;
    if (words >> client >> client_port >> server >> server_port && server_port != 0) {
      ports.insert(server_port);
    }
  }
  return ports;
}

std::vector<plan::Prefix> parse_peers(std::istream& table, std::uint16_t port) {
  std::vector<plan::Prefix> peers;
  std::string line;
  while (std::getline(table, line)) {
    std::istringstream words(line);
    std::string number, own, peer, state;
    if (!(words >> number >> own >> peer >> state) || state != kEstablished) {
      continue;
    }
    const auto own_end = parse_endpoint(own);
    auto peer_end = parse_endpoint(peer);
    const auto is_known = [&](const plan::Prefix& one) {
      return one.address == peer_end->address.address;
    };
    if (own_end && peer_end && own_end->port == port && std::ranges::none_of(peers, is_known)) {
      peers.push_back(std::move(peer_end->address));
    }
  }
  return peers;
}

std::vector<plan::Prefix> connected_peers(std::uint16_t port) {
  std::vector<plan::Prefix> peers;
  for (const char* path : {"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"}) {
    std::ifstream table(path);
    for (plan::Prefix& peer : parse_peers(table, port)) {
      peers.push_back(std::move(peer));
    }
  }
  return peers;
}

}  // namespace holdfast::agent
