/* What restricts a rule beside its bitmaps: SYNs only, a share of the flows, a pulse. */
#ifndef HOLDFAST_NARROW_BPF_H
#define HOLDFAST_NARROW_BPF_H

#include "maps.bpf.h"
#include "parse.bpf.h"

/* The flags of a TCP header (RFC 9293, 3.1): octet 13, SYN its second bit. */
#define HF_TCP_FLAGS 13
#define HF_TCP_SYN 0x02

/* What rules are narrowed by, found out once for a packet. */
struct hf_narrow {
  __u64 now;
  __u64 flow; /* hash of the connection */
  __u32 is_syn;
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

/* Whether this is a TCP packet that opens a connection: a SYN or the SYN-ACK that answers it. */
static __always_inline __u32 hf_is_syn(struct __sk_buff* skb, const struct hf_packet* packet) {
  __u8 flags = 0;

  if (!config.use_syn || packet->protocol != IPPROTO_TCP || !packet->remote_port) return 0;
  if (bpf_skb_load_bytes(skb, packet->transport_offset + HF_TCP_FLAGS, &flags, 1)) return 0;
  return flags & HF_TCP_SYN;
}

/* Whether the rule has nothing to do with the packet after all. */
static __always_inline int hf_passes_by(const struct hf_rule* rule,
                                        const struct hf_narrow* narrow) {
  if (narrow->now >= rule->deadline_ns) return 1;
  if (config.use_syn && rule->syn_only && !narrow->is_syn) return 1;
  if (config.use_flows && rule->flow_threshold &&
      (hf_mix(narrow->flow ^ rule->flow_seed) >> 32) >= rule->flow_threshold)
    return 1;
  /* The coarse clock may lag behind the start by a tick. */
  return config.use_pulses && rule->pulse_period_ns && narrow->now >= rule->pulse_start_ns &&
         (narrow->now - rule->pulse_start_ns) % rule->pulse_period_ns >= rule->pulse_active_ns;
}

#endif
