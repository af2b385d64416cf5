/* Turning a packet around, so that it goes back to where it came from as an answer. */
#ifndef HOLDFAST_TURN_BPF_H
#define HOLDFAST_TURN_BPF_H

#include "parse.bpf.h"

/* Verdicts of tcx and of clsact in direct-action mode have the same numbers (linux/bpf.h of 6.6,
 * linux/pkt_cls.h). */
#define HF_NEXT (-1) /* not ours: the next program or filter decides */
#define HF_SHOT 2

/* In every namespace (include/net/flow.h, drivers/net/loopback.c). */
#define HF_LOOPBACK_IFINDEX 1

/* One's complement sum to the checksum that goes into a header (RFC 1071). */
static __always_inline __u16 hf_fold(__u32 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (__u16)~sum;
}

static __always_inline int hf_swap(struct __sk_buff* skb, __u32 first, __u32 second, __u8* a,
                                   __u8* b, __u32 size) {
  if (bpf_skb_load_bytes(skb, first, a, size) || bpf_skb_load_bytes(skb, second, b, size))
    return -1;
  return bpf_skb_store_bytes(skb, first, b, size, 0) || bpf_skb_store_bytes(skb, second, a, size, 0)
             ? -1
             : 0;
}

/* Writes the length of what follows the IP header (and its extension headers) into that. */
static __noinline int hf_shorten_ip(struct __sk_buff* skb, const struct hf_packet* packet,
                                    __u32 length) {
  __be16 before, after;

  if (packet->is_ipv6) {
    after = bpf_htons(packet->transport_offset - packet->network_offset - sizeof(struct ipv6hdr) +
                      length);
    return bpf_skb_store_bytes(skb, packet->network_offset + 4, &after, sizeof(after), 0);
  }
  after = bpf_htons(packet->transport_offset - packet->network_offset + length);
  if (bpf_skb_load_bytes(skb, packet->network_offset + 2, &before, sizeof(before))) return -1;
  if (bpf_l3_csum_replace(skb, packet->network_offset + 10, before, after, sizeof(after)))
    return -1;
  return bpf_skb_store_bytes(skb, packet->network_offset + 2, &after, sizeof(after), 0);
}

/* Source and destination of Ethernet and IP change places; their checksums do not notice. On
 * loopback there is only one Ethernet address. */
static __noinline int hf_swap_ends(struct __sk_buff* skb, const struct hf_packet* packet) {
  __u8 a[16], b[16];

  if (packet->is_ipv6
          ? hf_swap(skb, packet->network_offset + 8, packet->network_offset + 24, a, b, 16)
          : hf_swap(skb, packet->network_offset + 12, packet->network_offset + 16, a, b, 4))
    return -1;
  return packet->has_ethernet && skb->ifindex != HF_LOOPBACK_IFINDEX && hf_swap(skb, 0, 6, a, b, 6)
             ? -1
             : 0;
}

/* What becomes of a packet that was turned around. */
static __always_inline int hf_send_back(struct __sk_buff* skb, const struct hf_packet* packet) {
  /* Over lo a packet that is let through arrives where it came from; a redirect would lose its
   * route. */
  if (skb->ifindex == HF_LOOPBACK_IFINDEX) return HF_NEXT;
  return bpf_redirect(skb->ifindex, packet->direction == HF_TO ? BPF_F_INGRESS : 0);
}

#endif
