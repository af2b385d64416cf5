/* Whether a packet is lost: at random, in bursts, or each n-th. */
#ifndef HOLDFAST_LOSS_BPF_H
#define HOLDFAST_LOSS_BPF_H

#include "count.bpf.h"

/* The Gilbert-Elliott model (Gilbert 1960, Elliott 1963): lost with the probability of the state
 * that the link is in, which may change after each packet. Both draws out of one number. */
static __always_inline int hf_chain_loses(const struct hf_rule* rule, struct hf_loss_state* state,
                                          __u64 random) {
  __u32 bad = state->bad;
  __u64 leaves = bad ? rule->chain_to_good : rule->chain_to_bad;

  if ((__u32)random < leaves) state->bad = !bad;
  return (random >> 32) < (bad ? rule->chain_loss_in_bad : rule->loss_threshold);
}

/* `rule` is of kind HF_LOSS and its number `id`. */
static __always_inline int hf_loses(const struct hf_rule* rule, __u32 id, __u32 direction,
                                    struct hf_counters* counter) {
  if (!config.use_loss_state || rule->loss_how == HF_LOSS_RANDOM)
    return (hf_random(counter) >> 32) < rule->loss_threshold;
  __u32 key = id * HF_DIRECTIONS + direction;
  struct hf_loss_state* state = bpf_map_lookup_elem(&loss_states, &key);

  if (!state) return 0;
  int lost;
  if (rule->loss_how == HF_LOSS_CHAIN) {
    lost = hf_chain_loses(rule, state, hf_random(counter));
  } else {
    __u64 before = __sync_fetch_and_add(&state->packets, 1);

    lost = rule->loss_every && (before + 1) % rule->loss_every == 0;
  }
  if (lost && !state->lost) counter->bursts++;
  state->lost = lost;
  return lost;
}

#endif
