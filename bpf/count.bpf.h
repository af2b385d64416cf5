/* Counters: what proves that a fault was injected. Per CPU, so no two packets wait for each other.
 */
#ifndef HOLDFAST_COUNT_BPF_H
#define HOLDFAST_COUNT_BPF_H

#include "narrow.bpf.h"

enum hf_count {
  HF_MATCHED = 1,
  HF_DROPPED = 2,
  HF_ANSWERED = 4,
  HF_ALTERED = HF_ANSWERED, /* no rule can do both */
  HF_SPARED = 8,
  HF_UNDELAYED = 16
};

static __always_inline void hf_add(struct hf_counters* counter, const struct __sk_buff* skb,
                                   __u32 what) {
  if (what & HF_MATCHED) {
    counter->matched_packets++;
    counter->matched_bytes += skb->len;
  }
  if (what & HF_DROPPED) {
    counter->dropped_packets++;
    counter->dropped_bytes += skb->len;
  }
  if (what & HF_ANSWERED) counter->answered_packets++;
  if (what & HF_SPARED) counter->spared_packets++;
  if (what & HF_UNDELAYED) counter->undelayed_packets++;
}

/* Not static, as some others: the verifier then looks at it by itself and once, whatever the ways
 * on which it is called. Full tables would not load otherwise. */
__noinline int hf_count(struct __sk_buff* skb, __u32 rule, __u32 what) {
  struct hf_counters* counter = bpf_map_lookup_elem(&counters, &rule);

  if (counter) hf_add(counter, skb, what);
  return 0;
}

/* 64 random bits. SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators,
 * OOPSLA 2014) on this CPU's own state, begun by the kernel's generator: a call of that for every
 * packet costs more than everything else that a loss does. */
static __always_inline __u64 hf_random(struct hf_counters* counter) {
  if (!counter->random)
    counter->random = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32() | 1;
  return hf_mix(counter->random += 0x9e3779b97f4a7c15ULL);
}

#endif
