#include "agent/kernel/rtnetlink.h"

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <array>
#include <functional>
#include <memory>

namespace holdfast::agent::kernel {
namespace {

using Socket = std::unique_ptr<mnl_socket, int (*)(mnl_socket*)>;
using OnMessage = std::function<void(const nlmsghdr*)>;
using OnAttribute = std::function<void(const nlattr*)>;

int call_message(const nlmsghdr* message, void* data) {
  (*static_cast<const OnMessage*>(data))(message);
  return MNL_CB_OK;
}

int call_attribute(const nlattr* attribute, void* data) {
  (*static_cast<const OnAttribute*>(data))(attribute);
  return MNL_CB_OK;
}

void for_each_attribute(const nlmsghdr* message, unsigned header_size, const OnAttribute& visit) {
  OnAttribute copy = visit;
  mnl_attr_parse(message, header_size, call_attribute, &copy);
}

void for_each_nested(const nlattr* attribute, const OnAttribute& visit) {
  OnAttribute copy = visit;
  mnl_attr_parse_nested(attribute, call_attribute, &copy);
}

// FNV-1a: only ever compared with another one of the same process.
std::uint64_t hash(const nlattr* attribute) {
  std::uint64_t value = 0xcbf29ce484222325ULL;
  const auto* bytes = static_cast<const unsigned char*>(mnl_attr_get_payload(attribute));
  for (unsigned i = 0; i < mnl_attr_get_payload_len(attribute); ++i) {
    value = (value ^ bytes[i]) * 0x100000001b3ULL;
  }
  return value;
}

// One dump request. `fill` adds the family's header to the message.
Result<void> dump(std::uint16_t type, const std::function<void(nlmsghdr*)>& fill,
                  const OnMessage& visit) {
  Socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC), mnl_socket_close);
  if (!socket) {
    return fail_errno("open rtnetlink", errno);
  }
  if (mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
    return fail_errno("bind rtnetlink", errno);
  }
  std::array<char, 256> request{};
  nlmsghdr* header = mnl_nlmsg_put_header(request.data());
  header->nlmsg_type = type;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header->nlmsg_seq = 1;
  fill(header);
  if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) {
    return fail_errno("ask rtnetlink", errno);
  }
  // The kernel fills at most 32 KiB of one datagram of a dump.
  std::vector<char> answer(64 * 1024);
  OnMessage on_message = visit;
  const unsigned port = mnl_socket_get_portid(socket.get());
  for (;;) {
    const ssize_t size = mnl_socket_recvfrom(socket.get(), answer.data(), answer.size());
    if (size < 0) {
      return fail_errno("read rtnetlink", errno);
    }
    const int verdict = mnl_cb_run(answer.data(), static_cast<std::size_t>(size), 1, port,
                                   call_message, &on_message);
    if (verdict < 0) {
      return fail_errno("rtnetlink dump", errno);
    }
    if (verdict == MNL_CB_STOP) {
      return {};
    }
  }
}

std::string text(const nlattr* attribute) {
  return mnl_attr_get_str(attribute);
}

}  // namespace

bool Link::has_ethernet() const {
  return hardware_type == ARPHRD_ETHER || hardware_type == ARPHRD_LOOPBACK;
}

Result<std::vector<Link>> list_links() {
  std::vector<Link> links;
  auto done = dump(
      RTM_GETLINK,
      [](nlmsghdr* header) {
        auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
        info->ifi_family = AF_UNSPEC;
      },
      [&](const nlmsghdr* message) {
        const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
        Link link;
        link.ifindex = static_cast<std::uint32_t>(info->ifi_index);
        link.hardware_type = info->ifi_type;
        link.up = (info->ifi_flags & IFF_UP) != 0;
        for_each_attribute(message, sizeof(*info), [&](const nlattr* attribute) {
          switch (mnl_attr_get_type(attribute)) {
            case IFLA_IFNAME:
              link.name = text(attribute);
              break;
            case IFLA_QDISC:
              link.qdisc = text(attribute);
              break;
            case IFLA_MTU:
              link.mtu = mnl_attr_get_u32(attribute);
              break;
            case IFLA_MASTER:
              link.master = mnl_attr_get_u32(attribute);
              break;
            case IFLA_LINKINFO:
              for_each_nested(attribute, [&](const nlattr* detail) {
                if (mnl_attr_get_type(detail) == IFLA_INFO_KIND) {
                  link.kind = text(detail);
                }
              });
              break;
            default:
              break;
          }
        });
        links.push_back(std::move(link));
      });
  if (!done) {
    return std::unexpected(done.error());
  }
  return links;
}

Result<std::vector<Qdisc>> list_qdiscs() {
  std::vector<Qdisc> qdiscs;
  auto done = dump(
      RTM_GETQDISC,
      [](nlmsghdr* header) {
        auto* info = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(tcmsg)));
        info->tcm_family = AF_UNSPEC;
        // Without this the kernel leaves out the default qdiscs of devices (noqueue, mq's
        // children).
        mnl_attr_put(header, TCA_DUMP_INVISIBLE, 0, nullptr);
      },
      [&](const nlmsghdr* message) {
        const auto* info = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message));
        Qdisc qdisc{.ifindex = static_cast<std::uint32_t>(info->tcm_ifindex),
                    .handle = info->tcm_handle,
                    .parent = info->tcm_parent,
                    .kind = {},
                    .options_hash = 0};
        for_each_attribute(message, sizeof(*info), [&](const nlattr* attribute) {
          if (mnl_attr_get_type(attribute) == TCA_KIND) {
            qdisc.kind = text(attribute);
          } else if (mnl_attr_get_type(attribute) == TCA_OPTIONS) {
            qdisc.options_hash = hash(attribute);
          }
        });
        qdiscs.push_back(std::move(qdisc));
      });
  if (!done) {
    return std::unexpected(done.error());
  }
  return qdiscs;
}

Result<std::vector<Filter>> list_filters(std::uint32_t ifindex, std::uint32_t parent) {
  std::vector<Filter> filters;
  auto done = dump(
      RTM_GETTFILTER,
      [&](nlmsghdr* header) {
        auto* info = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(tcmsg)));
        info->tcm_family = AF_UNSPEC;
        info->tcm_ifindex = static_cast<int>(ifindex);
        info->tcm_parent = parent;
      },
      [&](const nlmsghdr* message) {
        const auto* info = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message));
        Filter filter{.ifindex = ifindex,
                      .handle = info->tcm_handle,
                      .parent = parent,
                      .priority = static_cast<std::uint16_t>(TC_H_MAJ(info->tcm_info) >> 16),
                      .kind = {},
                      .name = {},
                      .options_hash = 0};
        for_each_attribute(message, sizeof(*info), [&](const nlattr* attribute) {
          if (mnl_attr_get_type(attribute) == TCA_KIND) {
            filter.kind = text(attribute);
          } else if (mnl_attr_get_type(attribute) == TCA_OPTIONS) {
            filter.options_hash = hash(attribute);
            if (filter.kind == "bpf") {
              for_each_nested(attribute, [&](const nlattr* option) {
                if (mnl_attr_get_type(option) == TCA_BPF_NAME) {
                  filter.name = text(option);
                }
              });
            }
          }
        });
        filters.push_back(std::move(filter));
      });
  if (!done) {
    return std::unexpected(done.error());
  }
  return filters;
}

}  // namespace holdfast::agent::kernel
