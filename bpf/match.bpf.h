/* Layer 2: which rules a packet matches. One lookup per dimension, bitmaps ANDed; the first empty
 * one ends it. */
#ifndef HOLDFAST_MATCH_BPF_H
#define HOLDFAST_MATCH_BPF_H

#include "maps.bpf.h"
#include "parse.bpf.h"

static __always_inline int hf_none(const struct hf_bits* bits) {
  return !(bits->word[0] | bits->word[1] | bits->word[2] | bits->word[3]);
}

static __always_inline int hf_overlap(const struct hf_bits* a, const struct hf_bits* b) {
  return ((a->word[0] & b->word[0]) | (a->word[1] & b->word[1]) | (a->word[2] & b->word[2]) |
          (a->word[3] & b->word[3])) != 0;
}

static __always_inline void hf_and(struct hf_bits* bits, const struct hf_bits* other) {
#pragma unroll
  for (int i = 0; i < HF_WORDS; i++) bits->word[i] &= other->word[i];
}

/* bits &= any | found, where found may be missing. */
static __always_inline void hf_admit(struct hf_bits* bits, const struct hf_bits* any,
                                     const struct hf_bits* found) {
#pragma unroll
  for (int i = 0; i < HF_WORDS; i++) bits->word[i] &= any->word[i] | (found ? found->word[i] : 0);
}

static __always_inline __u32 hf_protocol_class(__u8 protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return HF_TCP;
    case IPPROTO_UDP:
      return HF_UDP;
    case IPPROTO_ICMP:
    case HF_IPPROTO_ICMPV6:
      return HF_ICMP;
    default:
      return HF_OTHER;
  }
}

static __always_inline void hf_match_address(const struct hf_packet* packet, struct hf_bits* bits) {
  const struct hf_bits* single = 0;
  const struct hf_bits* covering = 0;

  if (control.use_addresses) single = bpf_map_lookup_elem(&addresses, &packet->remote);
  if (control.use_prefixes) {
    struct hf_prefix_key key = {.prefix_length = 128, .address = packet->remote};

    covering = bpf_map_lookup_elem(&prefixes, &key);
  }
#pragma unroll
  for (int i = 0; i < HF_WORDS; i++) {
    __u64 admitted = control.any_address.word[i];

    if (single) admitted |= single->word[i];
    if (covering) admitted |= covering->word[i];
    bits->word[i] &= admitted;
  }
}

/* Narrows `bits` (the active rules of this direction) to those that the packet matches. */
static __always_inline void hf_match(struct __sk_buff* skb, const struct hf_packet* packet,
                                     struct hf_bits* bits) {
  hf_match_address(packet, bits);
  if (hf_none(bits)) return;
  hf_and(bits, &control.protocol[hf_protocol_class(packet->protocol)]);
  if (control.use_remote_ports) {
    __u32 port = packet->remote_port;

    hf_admit(bits, &control.any_remote_port, bpf_map_lookup_elem(&remote_ports, &port));
  }
  if (control.use_local_ports) {
    __u32 port = packet->local_port;

    hf_admit(bits, &control.any_local_port, bpf_map_lookup_elem(&local_ports, &port));
  }
  if (control.use_interfaces) {
    __u32 ifindex = skb->ifindex;

    hf_admit(bits, &control.any_interface, bpf_map_lookup_elem(&interfaces, &ifindex));
  }
}

#endif
