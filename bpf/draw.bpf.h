/* Which of the packets that a rule matches it hits: at random, in bursts, or each n-th. */
#ifndef HOLDFAST_DRAW_BPF_H
#define HOLDFAST_DRAW_BPF_H

#include "count.bpf.h"

/* The Gilbert-Elliott model (Gilbert 1960, Elliott 1963): hit with the probability of the state
 * that the link is in, which may change after each packet. Both draws out of one number. */
static __always_inline int hf_chain_draws(const struct hf_rule* rule, struct hf_draw_state* state,
                                          __u64 random) {
  __u32 bad = state->bad;
  __u64 leaves = bad ? rule->chain_to_good : rule->chain_to_bad;

  if ((__u32)random < leaves) state->bad = !bad;
  return (random >> 32) < (bad ? rule->chain_threshold_in_bad : rule->draw_threshold);
}

/* Whether rule `id` hits this packet. */
static __always_inline int hf_draw(const struct hf_rule* rule, __u32 id, __u32 direction,
                                   struct hf_counters* counter) {
  if (!config.use_draw_state || rule->draw_how == HF_DRAW_RANDOM)
    return (hf_random(counter) >> 32) < rule->draw_threshold;
  __u32 key = id * HF_DIRECTIONS + direction;
  struct hf_draw_state* state = bpf_map_lookup_elem(&draw_states, &key);

  if (!state) return 0;
  int hit;
  if (rule->draw_how == HF_DRAW_CHAIN) {
    hit = hf_chain_draws(rule, state, hf_random(counter));
  } else {
    __u64 before = __sync_fetch_and_add(&state->packets, 1);

    hit = rule->draw_every && (before + 1) % rule->draw_every == 0;
  }
  if (rule->kind == HF_LOSS && hit && !state->hit) counter->bursts++;
  state->hit = hit;
  return hit;
}

/* The same, for loops; see hf_count. */
__noinline int hf_draws(__u32 id, __u32 direction) {
  struct hf_counters* counter = bpf_map_lookup_elem(&counters, &id);

  return counter && hf_draw(&control.rules[id & (HF_MAX_RULES - 1)], id, direction, counter);
}

#endif
