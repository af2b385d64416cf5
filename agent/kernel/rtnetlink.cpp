#include "agent/kernel/rtnetlink.h"

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <functional>
#include <memory>

#include "agent/kernel/netlink.h"

namespace holdfast::agent::kernel {
namespace {

using OnAttribute = std::function<void(const nlattr*)>;

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

std::string text(const nlattr* attribute) {
  return mnl_attr_get_str(attribute);
}

}  // namespace

bool Link::has_ethernet() const {
  return hardware_type == ARPHRD_ETHER || hardware_type == ARPHRD_LOOPBACK;
}

Result<std::vector<Link>> list_links() {
  std::vector<Link> links;
  auto done = dump_netlink(
      NETLINK_ROUTE, RTM_GETLINK,
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
  auto done = dump_netlink(
      NETLINK_ROUTE, RTM_GETQDISC,
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
  auto done = dump_netlink(
      NETLINK_ROUTE, RTM_GETTFILTER,
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
