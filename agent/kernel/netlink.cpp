#include "agent/kernel/netlink.h"

#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>
#include <vector>

namespace holdfast::agent::kernel {
namespace {

using Socket = std::unique_ptr<mnl_socket, int (*)(mnl_socket*)>;
using OnMessage = std::function<void(const nlmsghdr*)>;

// The kernel fills at most 32 KiB of one datagram of a dump.
constexpr std::size_t kLargestAnswer = 64 * 1024;

int call_message(const nlmsghdr* message, void* data) {
  (*static_cast<const OnMessage*>(data))(message);
  return MNL_CB_OK;
}

Result<Socket> send(int bus, std::uint16_t type, std::uint16_t flags,
                    const std::function<void(nlmsghdr*)>& fill) {
  Socket socket(mnl_socket_open2(bus, SOCK_CLOEXEC), mnl_socket_close);
  if (!socket) {
    return fail_errno("open netlink", errno);
  }
  if (mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
    return fail_errno("bind netlink", errno);
  }
  std::array<char, 256> request{};
  nlmsghdr* header = mnl_nlmsg_put_header(request.data());
  header->nlmsg_type = type;
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header->nlmsg_seq = 1;
  fill(header);
  if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) {
    return fail_errno("ask netlink", errno);
  }
  return socket;
}

}  // namespace

Result<void> dump_netlink(int bus, std::uint16_t type, const std::function<void(nlmsghdr*)>& fill,
                          const std::function<void(const nlmsghdr*)>& visit) {
  auto socket = send(bus, type, NLM_F_DUMP, fill);
  if (!socket) {
    return std::unexpected(socket.error());
  }
  std::vector<char> answer(kLargestAnswer);
  OnMessage on_message = visit;
  const unsigned port = mnl_socket_get_portid(socket->get());
  for (;;) {
    const ssize_t size = mnl_socket_recvfrom(socket->get(), answer.data(), answer.size());
    if (size < 0) {
      return fail_errno("read netlink", errno);
    }
    const int verdict = mnl_cb_run(answer.data(), static_cast<std::size_t>(size), 1, port,
                                   call_message, &on_message);
    if (verdict < 0) {
      return fail_errno("netlink dump", errno);
    }
    if (verdict == MNL_CB_STOP) {
      return {};
    }
  }
}

Result<int> ask_netlink(int bus, std::uint16_t type, const std::function<void(nlmsghdr*)>& fill) {
  auto socket = send(bus, type, NLM_F_ACK, fill);
  if (!socket) {
    return std::unexpected(socket.error());
  }
  std::vector<char> answer(kLargestAnswer);
  const ssize_t size = mnl_socket_recvfrom(socket->get(), answer.data(), answer.size());
  if (size < 0) {
    return fail_errno("read netlink", errno);
  }
  const int verdict = mnl_cb_run(answer.data(), static_cast<std::size_t>(size), 1,
                                 mnl_socket_get_portid(socket->get()), nullptr, nullptr);
  return verdict < 0 ? errno : 0;
}

}  // namespace holdfast::agent::kernel
