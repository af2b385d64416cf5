#include "agent/kernel/netlink_trials.h"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <system_error>

namespace holdfast::agent::kernel {

namespace {

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;

using Buffer = std::array<char, 4096>;

// 0, or the errno with which the kernel refused. Requests must ask for an acknowledgement.
int exchange(int bus, const nlmsghdr* request) {
  const Socket socket(mnl_socket_open(bus));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0 ||
      mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0) {
    return errno;
  }
  Buffer answer{};
  while (true) {
    const auto length = mnl_socket_recvfrom(socket.get(), answer.data(), answer.size());
    if (length < 0) {
      return errno;
    }
    // Data comes before the acknowledgement, which ends it.
    const int state =
        mnl_cb_run(answer.data(), static_cast<std::size_t>(length), request->nlmsg_seq,
                   mnl_socket_get_portid(socket.get()), nullptr, nullptr);
    if (state < 0) {
      return errno;
    }
    if (state == MNL_CB_STOP) {
      return 0;
    }
  }
}

nlmsghdr* start_request(Buffer& buffer, int type, int flags) {
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = static_cast<__u16>(type);
  header->nlmsg_flags = static_cast<__u16>(NLM_F_REQUEST | NLM_F_ACK | flags);
  header->nlmsg_seq = 1;
  return header;
}

Feature from_answer(const char* attempt, int error_number) {
  if (error_number == 0) {
    return Feature{Availability::yes};
  }
  const bool about_us = error_number == EPERM || error_number == EACCES;
  return Feature{about_us ? Availability::unknown : Availability::no,
                 std::string(attempt) + ": " + std::generic_category().message(error_number)};
}

}  // namespace

Feature try_netem(int ifindex) {
  Buffer buffer{};
  nlmsghdr* request = start_request(buffer, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);
  auto* message = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(tcmsg)));
  message->tcm_family = AF_UNSPEC;
  message->tcm_ifindex = ifindex;
  message->tcm_parent = TC_H_ROOT;
  mnl_attr_put_strz(request, TCA_KIND, "netem");
  const tc_netem_qopt options{
      .latency = 0, .limit = 1, .loss = 0, .gap = 0, .duplicate = 0, .jitter = 0};
  mnl_attr_put(request, TCA_OPTIONS, sizeof(options), &options);
  return from_answer("netem qdisc", exchange(NETLINK_ROUTE, request));
}

Feature try_ifb() {
  Buffer buffer{};
  nlmsghdr* request = start_request(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  auto* message = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg)));
  message->ifi_family = AF_UNSPEC;
  mnl_attr_put_strz(request, IFLA_IFNAME, "hf-trial-ifb");
  nlattr* info = mnl_attr_nest_start(request, IFLA_LINKINFO);
  mnl_attr_put_strz(request, IFLA_INFO_KIND, "ifb");
  mnl_attr_nest_end(request, info);
  return from_answer("ifb device", exchange(NETLINK_ROUTE, request));
}

Feature try_nf_tables() {
  Buffer buffer{};
  nlmsghdr* request = start_request(buffer, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, 0);
  auto* message = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(nfgenmsg)));
  message->nfgen_family = AF_UNSPEC;
  message->version = NFNETLINK_V0;
  return from_answer("nf_tables", exchange(NETLINK_NETFILTER, request));
}

}  // namespace holdfast::agent::kernel
