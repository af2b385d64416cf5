#include "agent/kernel/tcp_connections.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <vector>

#include "agent/kernel/netlink.h"

namespace holdfast::agent::kernel {
namespace {

// From linux/inet_diag.h and include/net/tcp_states.h, which user space does not get.
constexpr std::uint16_t kDestroy = 21;  // SOCK_DESTROY
constexpr std::uint32_t kEstablished = 1U << 1, kFinWait1 = 1U << 4, kFinWait2 = 1U << 5,
                        kCloseWait = 1U << 8;

inet_diag_req_v2* put_request(nlmsghdr* header, std::uint8_t family) {
  auto* request =
      static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(header, sizeof(inet_diag_req_v2)));
  std::memset(request, 0, sizeof(*request));
  request->sdiag_family = family;
  request->sdiag_protocol = IPPROTO_TCP;
  return request;
}

std::array<std::uint8_t, 16> mapped(std::uint8_t family, const __be32* words) {
  std::array<std::uint8_t, 16> address{};
  if (family == AF_INET6) {
    std::memcpy(address.data(), words, 16);
  } else {
    address[10] = address[11] = 0xff;
    std::memcpy(&address[12], words, 4);
  }
  return address;
}

// Which interface has which address.
std::map<std::array<std::uint8_t, 16>, std::uint32_t> addresses() {
  std::map<std::array<std::uint8_t, 16>, std::uint32_t> found;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) {
    return found;
  }
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) {
      continue;
    }
    const auto family = static_cast<std::uint8_t>(one->ifa_addr->sa_family);
    const std::uint32_t ifindex = ::if_nametoindex(one->ifa_name);
    if (family == AF_INET) {
      const auto* in4 = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
      found.emplace(mapped(family, &in4->sin_addr.s_addr), ifindex);
    } else if (family == AF_INET6) {
      const auto* in6 = reinterpret_cast<const sockaddr_in6*>(one->ifa_addr);
      found.emplace(mapped(family, in6->sin6_addr.s6_addr32), ifindex);
    }
  }
  ::freeifaddrs(list);
  return found;
}

// As the kernel's errno; 0: done, or gone by itself.
Result<int> destroy(std::uint8_t family, const inet_diag_sockid& id) {
  auto error = ask_netlink(NETLINK_SOCK_DIAG, kDestroy,
                           [&](nlmsghdr* header) { put_request(header, family)->id = id; });
  return error && *error == ENOENT ? Result<int>(0) : error;
}

std::unexpected<Error> cannot(int error) {
  auto failed = fail_errno("close a connection", error);
  if (error == EOPNOTSUPP) {
    failed.error().kind = ErrorKind::unsupported;
    failed.error().cure = "a kernel with CONFIG_INET_DIAG_DESTROY, or `how: refuse`";
  }
  return failed;
}

}  // namespace

Result<std::uint64_t> close_tcp_connections(
    const std::function<bool(const TcpConnection&)>& chosen) {
  struct Found {
    std::uint8_t family;
    inet_diag_sockid id;
  };
  std::vector<Found> found;
  const auto interfaces = addresses();
  for (const int family : {AF_INET, AF_INET6}) {
    auto listed = dump_netlink(
        NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY,
        [&](nlmsghdr* header) {
          put_request(header, static_cast<std::uint8_t>(family))->idiag_states =
              kEstablished | kFinWait1 | kFinWait2 | kCloseWait;
        },
        [&](const nlmsghdr* message) {
          const auto* one = static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(message));
          TcpConnection connection{.local = mapped(one->idiag_family, one->id.idiag_src),
                                   .remote = mapped(one->idiag_family, one->id.idiag_dst),
                                   .local_port = ntohs(one->id.idiag_sport),
                                   .remote_port = ntohs(one->id.idiag_dport),
                                   .ifindex = 0};
          const auto interface = interfaces.find(connection.local);
          connection.ifindex = interface == interfaces.end() ? 0 : interface->second;
          if (chosen(connection)) {
            found.push_back({one->idiag_family, one->id});
          }
        });
    if (!listed) {
      return std::unexpected(listed.error());
    }
  }
  std::uint64_t closed = 0;
  for (const Found& one : found) {
    const auto error = destroy(one.family, one.id);
    if (!error) {
      return std::unexpected(error.error());
    }
    if (*error != 0) {
      return cannot(*error);
    }
    ++closed;
  }
  return closed;
}

Result<void> can_close_tcp_connections() {
  inet_diag_sockid nobody{};  // port 0 is nobody's
  nobody.idiag_cookie[0] = nobody.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  const auto error = destroy(AF_INET, nobody);
  if (!error) {
    return std::unexpected(error.error());
  }
  return *error == 0 ? Result<void>{} : cannot(*error);
}

}  // namespace holdfast::agent::kernel
