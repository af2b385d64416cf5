#include "agent/resolve_host.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace holdfast::agent {
namespace {

plan::Prefix to_prefix(const sockaddr& address) {
  plan::Prefix prefix;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof(v4));
    prefix.address[10] = prefix.address[11] = 0xff;
    std::memcpy(&prefix.address[12], &v4.sin_addr, 4);
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
  } else {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof(v6));
    std::memcpy(prefix.address.data(), &v6.sin6_addr, 16);
    inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  }
  prefix.written = text.data();
  return prefix;
}

}  // namespace

Result<std::vector<plan::Prefix>> resolve_host(const std::string& host) {
  std::string name = host;
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') {
    name = name.substr(1, name.size() - 2);
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* raw = nullptr;
  const int error = ::getaddrinfo(name.c_str(), nullptr, &hints, &raw);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(raw, [](addrinfo* info) {
    if (info != nullptr) {
      ::freeaddrinfo(info);
    }
  });
  if (error != 0) {
    return fail(ErrorKind::unavailable,
                fmt::format("can't resolve \"{}\": {}", host, ::gai_strerror(error)),
                "check the name and the node's resolver, or write addresses");
  }
  std::vector<plan::Prefix> addresses;
  for (const addrinfo* info = list.get(); info != nullptr; info = info->ai_next) {
    if (info->ai_family != AF_INET && info->ai_family != AF_INET6) {
      continue;
    }
    plan::Prefix prefix = to_prefix(*info->ai_addr);
    if (std::none_of(addresses.begin(), addresses.end(),
                     [&](const plan::Prefix& other) { return other.address == prefix.address; })) {
      addresses.push_back(std::move(prefix));
    }
  }
  return addresses;
}

}  // namespace holdfast::agent
