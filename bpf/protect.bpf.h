/* Traffic that no rule may hit: it is asked about before anything is done to a matched packet. */
#ifndef HOLDFAST_PROTECT_BPF_H
#define HOLDFAST_PROTECT_BPF_H

#include "maps.bpf.h"
#include "parse.bpf.h"

/* Router and neighbour solicitation, advertisement, redirect (RFC 4861): IPv6's ARP. And what tells
 * switches and routers which groups are listened to, IGMP (RFC 3376) and MLD (RFC 2710, RFC 3810):
 * neighbour discovery goes to such groups, and a report that is missed is missed until the next
 * query, minutes after the fault. */
static __always_inline int hf_is_neighbour_discovery(struct __sk_buff* skb,
                                                     const struct hf_packet* packet) {
  __u8 type = 0;

  if (packet->protocol == IPPROTO_IGMP) return 1;
  if (packet->protocol != HF_IPPROTO_ICMPV6) return 0;
  if (bpf_skb_load_bytes(skb, packet->transport_offset, &type, sizeof(type))) return 0;
  return (type >= 133 && type <= 137) || (type >= 130 && type <= 132) || type == 143;
}

/* DHCP (RFC 2131) and DHCPv6 (RFC 8415): the node's lease on its own address. */
static __always_inline int hf_is_dhcp(const struct hf_packet* packet) {
  if (packet->protocol != IPPROTO_UDP) return 0;
  if (!packet->is_ipv6)
    return (packet->local_port == 68 && packet->remote_port == 67) ||
           (packet->local_port == 67 && packet->remote_port == 68);
  return (packet->local_port == 546 && packet->remote_port == 547) ||
         (packet->local_port == 547 && packet->remote_port == 546);
}

static __always_inline int hf_same_address(const struct hf_address* a, const __u8* b) {
  const __u64* x = (const __u64*)a->byte;
  const __u64* y = (const __u64*)b;

  return x[0] == y[0] && x[1] == y[1];
}

/* By itself for the verifier, see hf_count: there may be 32. */
__noinline int hf_is_endpoint(const struct hf_packet* packet) {
  if (!packet) return 0; /* never; the verifier asks */
  for (__u32 i = 0; i < HF_MAX_PROTECTED; i++) {
    if (i >= config.protected_count) break;
    const struct hf_protected* endpoint = &control.protected_endpoints[i];

    if (endpoint->protocol && endpoint->protocol != packet->protocol) continue;
    if ((!endpoint->port || endpoint->port == packet->local_port) &&
        (endpoint->any_address || hf_same_address(&packet->local, endpoint->address)))
      return 1;
    if (!endpoint->local_only && (!endpoint->port || endpoint->port == packet->remote_port) &&
        (endpoint->any_address || hf_same_address(&packet->remote, endpoint->address)))
      return 1;
  }
  return 0;
}

static __always_inline int hf_is_protected(struct __sk_buff* skb, const struct hf_packet* packet) {
  return hf_is_dhcp(packet) || hf_is_neighbour_discovery(skb, packet) ||
         (config.protected_count && hf_is_endpoint(packet));
}

#endif
