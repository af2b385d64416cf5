// TCP connections that end in the calling thread's namespace (sock_diag(7)), and their end.
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "common/result.h"

namespace holdfast::agent::kernel {

struct TcpConnection {
  std::array<std::uint8_t, 16> local{}, remote{};  // IPv4-mapped for IPv4
  std::uint16_t local_port = 0, remote_port = 0;
  std::uint32_t ifindex = 0;  // of the interface that has the local address; 0: none has
};

// Closes the established ones (and those that are half closed) that are chosen, as `ss -K` does:
// their owners get ECONNABORTED, their peers a reset. Returns how many. Errors: unsupported (a
// kernel without CONFIG_INET_DIAG_DESTROY), permission, io.
Result<std::uint64_t> close_tcp_connections(
    const std::function<bool(const TcpConnection&)>& chosen);

// Whether this kernel can. Errors: unsupported, permission.
Result<void> can_close_tcp_connections();

}  // namespace holdfast::agent::kernel
