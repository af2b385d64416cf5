/* What restricts a rule beside its bitmaps: new or existing connections, a share of the flows, a
 * pulse. */
#ifndef HOLDFAST_NARROW_BPF_H
#define HOLDFAST_NARROW_BPF_H

#include "maps.bpf.h"
#include "parse.bpf.h"

/* The flags of a TCP header (RFC 9293, 3.1). */
#define HF_TCP_FLAGS 13 /* octet */
#define HF_TCP_FIN 0x01
#define HF_TCP_SYN 0x02
#define HF_TCP_RST 0x04
#define HF_TCP_ACK 0x10

/* What rules are narrowed by, found out once for a packet. */
struct hf_narrow {
  __u64 now;
  __u64 flow; /* hash of the connection */
  __u8 is_syn;
  __u8 is_of_new;  /* of a connection that was opened since the start */
  __u8 is_refusal; /* a TCP reset or an ICMP error */
  __u8 pad[5];
};

/* The last steps of SplitMix64: every bit of the result depends on every bit of `z`. */
static __always_inline __u64 hf_mix(__u64 z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

static __always_inline __u64 hf_end_hash(const struct hf_address* address, __u16 port) {
  const __u32* word = (const __u32*)address;
  __u64 hash = hf_mix((__u64)word[0] << 32 | word[1]);

  hash = hf_mix(hash ^ ((__u64)word[2] << 32 | word[3]));
  return hf_mix(hash ^ port);
}

/* The same for both directions of a connection, and on both of its ends. */
static __always_inline __u64 hf_flow_hash(const struct hf_packet* packet) {
  if (!config.use_flows) return 0;
  return hf_mix(hf_end_hash(&packet->local, packet->local_port) +
                hf_end_hash(&packet->remote, packet->remote_port) + packet->protocol);
}

/* ICMP messages that report an error (RFC 792, RFC 4443 2.1: types below 128). */
static __always_inline __u32 hf_is_icmp_error(__u8 protocol, __u8 type) {
  if (protocol == HF_IPPROTO_ICMPV6) return type < 128;
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/* SYNs and the SYN-ACKs that answer them open a connection; resets and ICMP errors must neither be
 * refused in turn nor be kept back by the rule that made them. */
static __always_inline void hf_look_at_transport(struct __sk_buff* skb,
                                                 const struct hf_packet* packet,
                                                 struct hf_narrow* narrow) {
  __u8 octet = 0;

  if (!config.use_syn && !config.use_existing && !config.use_refusals) return;
  if (packet->protocol == IPPROTO_TCP && packet->remote_port) {
    if (bpf_skb_load_bytes(skb, packet->transport_offset + HF_TCP_FLAGS, &octet, 1)) return;
    narrow->is_syn = (octet & HF_TCP_SYN) != 0;
    narrow->is_refusal = (octet & HF_TCP_RST) != 0;
    if (config.use_existing) {
      __u32 yes = 1;

      if (narrow->is_syn) bpf_map_update_elem(&new_flows, &narrow->flow, &yes, BPF_ANY);
      narrow->is_of_new = narrow->is_syn || bpf_map_lookup_elem(&new_flows, &narrow->flow) != NULL;
    }
  } else if (packet->protocol == IPPROTO_ICMP || packet->protocol == HF_IPPROTO_ICMPV6) {
    if (bpf_skb_load_bytes(skb, packet->transport_offset, &octet, 1)) return;
    narrow->is_refusal = (__u8)hf_is_icmp_error(packet->protocol, octet);
  }
}

/* Whether the rule has nothing to do with the packet after all. */
static __always_inline int hf_passes_by(const struct hf_rule* rule,
                                        const struct hf_narrow* narrow) {
  if (narrow->now >= rule->deadline_ns) return 1;
  if (config.use_syn && rule->connections == HF_NEW_CONNECTIONS && !narrow->is_syn) return 1;
  if (config.use_existing && rule->connections == HF_EXISTING_CONNECTIONS && narrow->is_of_new)
    return 1;
  if (config.use_refusals && rule->refusal && narrow->is_refusal) return 1;
  if (config.use_flows && rule->flow_threshold &&
      (hf_mix(narrow->flow ^ rule->flow_seed) >> 32) >= rule->flow_threshold)
    return 1;
  /* The coarse clock may lag behind the start by a tick. */
  return config.use_pulses && rule->pulse_period_ns && narrow->now >= rule->pulse_start_ns &&
         (narrow->now - rule->pulse_start_ns) % rule->pulse_period_ns >= rule->pulse_active_ns;
}

#endif
