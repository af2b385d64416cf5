/* Layer 2: which rules a packet matches. One lookup per dimension, bitmaps ANDed; the first empty
 * one ends it. */
#ifndef HOLDFAST_MATCH_BPF_H
#define HOLDFAST_MATCH_BPF_H

#include "maps.bpf.h"
#include "parse.bpf.h"

/* Keeps what stands behind it a branch of its own. Made into arithmetic, as the compiler would
 * like, it would be run for nothing; a branch that is never taken is taken out by the verifier. */
static __always_inline int hf_branch(void) {
  asm volatile("");
  return 1;
}

/* The words that are in use; there is always a first. */
#define HF_EACH_WORD(i)                           \
  _Pragma("unroll") for (int i = 0; i < HF_WORDS; \
                         i++) if (i == 0 || (i < (int)config.words && hf_branch()))

static __always_inline int hf_none(const struct hf_bits* bits) {
  __u64 any = 0;

  HF_EACH_WORD(i) any |= bits->word[i];
  return !any;
}

static __always_inline int hf_overlap(const struct hf_bits* a, const struct hf_bits* b) {
  __u64 any = 0;

  HF_EACH_WORD(i) any |= a->word[i] & b->word[i];
  return any != 0;
}

/* The words that are not in use become 0: the compiler may well read them, where that does not
 * change the result, and the verifier takes no read of what was never written. */
static __always_inline void hf_copy(struct hf_bits* to, const struct hf_bits* from) {
  __builtin_memset(to, 0, sizeof(*to));
  HF_EACH_WORD(i) to->word[i] = from->word[i];
}

static __always_inline void hf_and(struct hf_bits* bits, const struct hf_bits* other) {
  HF_EACH_WORD(i) bits->word[i] &= other->word[i];
}

/* bits &= any | found, where found may be missing. */
static __always_inline void hf_admit(struct hf_bits* bits, const struct hf_bits* any,
                                     const struct hf_bits* found) {
  HF_EACH_WORD(i) bits->word[i] &= any->word[i] | (found ? found->word[i] : 0);
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

  if (config.use_addresses) single = bpf_map_lookup_elem(&addresses, &packet->remote);
  if (config.use_prefixes) {
    struct hf_prefix_key key = {.prefix_length = 128, .address = packet->remote};

    covering = bpf_map_lookup_elem(&prefixes, &key);
  }
  HF_EACH_WORD(i) {
    __u64 admitted = control.any_address.word[i];

    if (single) admitted |= single->word[i];
    if (covering) admitted |= covering->word[i];
    bits->word[i] &= admitted;
  }
}

/* Narrows `bits` (the active rules of this direction) to those that the packet matches. */
static __always_inline void hf_match(struct __sk_buff* skb, const struct hf_packet* packet,
                                     struct hf_bits* bits) {
  if (config.use_addresses || config.use_prefixes) {
    hf_match_address(packet, bits);
    if (hf_none(bits)) return;
  }
  if (config.use_protocols) hf_and(bits, &control.protocol[hf_protocol_class(packet->protocol)]);
  if (config.use_remote_ports) {
    __u32 port = packet->remote_port;

    hf_admit(bits, &control.any_remote_port, bpf_map_lookup_elem(&remote_ports, &port));
  }
  if (config.use_local_ports) {
    __u32 port = packet->local_port;

    hf_admit(bits, &control.any_local_port, bpf_map_lookup_elem(&local_ports, &port));
  }
  if (config.use_interfaces) {
    __u32 ifindex = skb->ifindex;

    hf_admit(bits, &control.any_interface, bpf_map_lookup_elem(&interfaces, &ifindex));
  }
}

#endif
