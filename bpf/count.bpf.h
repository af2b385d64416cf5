/* Counters: what proves that a fault was injected. Per CPU, so no two packets wait for each other.
 */
#ifndef HOLDFAST_COUNT_BPF_H
#define HOLDFAST_COUNT_BPF_H

#include "maps.bpf.h"

enum hf_count { HF_MATCHED = 1, HF_DROPPED = 2, HF_ANSWERED = 4, HF_SPARED = 8 };

static __always_inline void hf_count(struct __sk_buff* skb, __u32 rule, __u32 what) {
  struct hf_counters* counter = bpf_map_lookup_elem(&counters, &rule);

  if (!counter) return;
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
}

#endif
