/* Changing what a packet carries so that no checksum tells. */
#ifndef HOLDFAST_CORRUPT_BPF_H
#define HOLDFAST_CORRUPT_BPF_H

#include "parse.bpf.h"

/* Where the payload begins and the checksum is, from the transport header; 0 where it is not one
 * that can be mended. */
static __always_inline __u32 hf_payload_after(struct __sk_buff* skb, __u32 protocol,
                                              __u32 transport, __u32* checksum) {
  __u8 octet;

  switch (protocol) {
    case IPPROTO_TCP:
      *checksum = 16;
      if (bpf_skb_load_bytes(skb, transport + 12, &octet, 1)) return 0;
      return (octet >> 4) * 4;
    case IPPROTO_UDP:
      *checksum = 6;
      return 8;
    case IPPROTO_ICMP:
    case HF_IPPROTO_ICMPV6:
      *checksum = 2;
      return 8;
  }
  return 0;
}

/* Flips one bit of the payload. 0, or -1 where there is none or its checksum is out of reach. See
 * hf_count for what it is. */
__noinline int hf_corrupt(struct __sk_buff* skb, __u32 protocol, __u32 transport) {
  __u64 random = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32();
  __u32 checksum = 0;
  __be16 before, after;

  __u32 begins = hf_payload_after(skb, protocol, transport, &checksum);
  if (!begins) return -1;
  begins += transport;
  /* In 16-bit words, as checksums are: all headers before it are even. */
  if (skb->len < begins + sizeof(before)) return -1;
  __u32 words = (skb->len - begins) / sizeof(before);
  __u32 at = begins + (__u32)random % words * sizeof(before);

  if (bpf_skb_load_bytes(skb, at, &before, sizeof(before))) return -1;
  after = before ^ (__be16)(1U << ((random >> 32) & 15));
  /* Where a device will sum it up later, this leaves the checksum alone; a UDP checksum of 0 is
   * none. */
  if (bpf_l4_csum_replace(skb, transport + checksum, before, after,
                          sizeof(after) | (protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0)))
    return -1;
  return bpf_skb_store_bytes(skb, at, &after, sizeof(after), 0) ? -1 : 0;
}

#endif
