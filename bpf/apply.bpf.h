/* Layers 3 and 4: what the matched rules do to the packet, stage by stage in the order of enum
 * hf_kind. */
#ifndef HOLDFAST_APPLY_BPF_H
#define HOLDFAST_APPLY_BPF_H

#include "count.bpf.h"
#include "delay.bpf.h"
#include "dns.bpf.h"
#include "loss.bpf.h"
#include "narrow.bpf.h"
#include "protect.bpf.h"
#include "refuse.bpf.h"

/* No device has this index: redirecting there frees the packet, and unlike a shot on egress the
 * sender is told that it was sent. TCP then sees wire loss and not a full local queue, which it
 * would not count as sent at all. */
#define HF_NOWHERE 0x7fffffff

struct hf_stage {
  struct __sk_buff* skb;
  struct hf_bits bits; /* still to do */
  const struct hf_narrow* narrow;
  __u32 kind;
  __u32 what;         /* not 0: only count so */
  __u32 drop;         /* out */
  __u32 name_length;  /* dns */
  __s32 dns_response; /* out: -1, or enum hf_dns_response */
  __u32 refusal;      /* out: of the first rule that dropped the packet */
  __u32 rule;         /* out: the one that answers or refuses */
  __u32 direction;
  struct hf_bits delaying; /* out: rules that delay the packet */
};

/* CLOCK_MONOTONIC at the last tick. The coarse clock moves with the tick, so what it said since
 * this one began is still what it would say: asked once a tick, not for every packet. CPUs that
 * write at once may leave a tick beside a time of another: `check` tells. */
static __always_inline __u64 hf_now(void) {
  __u64 tick = bpf_jiffies64();
  __u64 now = tick_clock.now;

  if (tick_clock.tick == tick && tick_clock.check == (tick ^ now)) return now;
  now = bpf_ktime_get_coarse_ns();
  tick_clock.now = now;
  tick_clock.tick = tick;
  tick_clock.check = tick ^ now;
  return now;
}

/* Index of the lowest bit that is set; `word` is not 0. The ones below it, counted (SWAR) and
 * without a branch: the verifier would walk all 64 ways through a search, and clang 14 crashes on
 * __builtin_ctzll for BPF. */
static __always_inline __u32 hf_lowest_bit(__u64 word) {
  __u64 below = (word & -word) - 1;

  below -= (below >> 1) & 0x5555555555555555ULL;
  below = (below & 0x3333333333333333ULL) + ((below >> 2) & 0x3333333333333333ULL);
  below = (below + (below >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
  return (__u32)((below * 0x0101010101010101ULL) >> 56);
}

/* Takes the lowest rule out of `bits`; HF_MAX_RULES where there is none. */
static __always_inline __u32 hf_take(struct hf_bits* bits) {
  HF_EACH_WORD(i) {
    __u64 word = bits->word[i];

    if (word) {
      bits->word[i] = word & (word - 1);
      return i * 64 + hf_lowest_bit(word);
    }
  }
  return HF_MAX_RULES;
}

/* Index of the only bit that is set, of one or more; HF_MAX_RULES where there are more. */
static __always_inline __u32 hf_lone(const struct hf_bits* bits) {
  __u32 found = HF_MAX_RULES;

  if (config.rules == 1) return 0;

  HF_EACH_WORD(i) {
    __u64 word = bits->word[i];

    if (!word) continue;
    if (found != HF_MAX_RULES || (word & (word - 1))) return HF_MAX_RULES;
    found = i * 64 + hf_lowest_bit(word);
  }
  return found;
}

/* Whether this rule drops the packet; counts it. For every kind but HF_DNS, whose packet has to be
 * looked into first. */
static __always_inline int hf_rule_drops(struct __sk_buff* skb, const struct hf_rule* rule,
                                         __u32 kind, __u32 id, __u32 direction) {
  struct hf_counters* counter = bpf_map_lookup_elem(&counters, &id);

  if (!counter) return 0;
  int drops = kind == HF_BLACKHOLE || (kind == HF_LOSS && hf_loses(rule, id, direction, counter));

  hf_add(counter, skb, drops ? HF_MATCHED | HF_DROPPED : HF_MATCHED);
  return drops;
}

static long hf_apply_rule(__u32 index, void* context) {
  struct hf_stage* stage = context;
  __u32 id = hf_take(&stage->bits);

  if (id >= HF_MAX_RULES) return 1;
  const struct hf_rule* rule = &control.rules[id & (HF_MAX_RULES - 1)];
  if (hf_passes_by(rule, stage->narrow)) return 0;
  if (stage->what) {
    hf_count(stage->skb, id, stage->what);
    return 0;
  }
  if (stage->kind == HF_LATENCY) {
    hf_count(stage->skb, id, HF_MATCHED);
    HF_EACH_WORD(i) if (i == (int)id / 64) stage->delaying.word[i] |= 1ULL << (id % 64);
    return 0;
  }
  if (stage->kind == HF_DNS) {
    stage->dns_response = rule->dns_response;
    stage->rule = id;
    hf_count(stage->skb, id, HF_MATCHED); /* its bytes before they become an answer's */
    return 1;                             /* one answer */
  }
  if (!hf_rule_drops(stage->skb, rule, stage->kind, id, stage->direction)) return 0;
  if (!stage->drop) {
    stage->refusal = rule->refusal;
    stage->rule = id;
  }
  stage->drop = 1;
  /* Lost at random, it is gone, and later rules never see it; every blackhole counts it. */
  return stage->kind == HF_LOSS;
}

static __always_inline int hf_has_kind(__u32 kind) { return (config.kinds >> kind) & 1; }

/* Fills in the matched rules of one kind. Returns whether there are any: most stages have nothing
 * to do, and that is found out before anything is written. */
static __always_inline int hf_begin_stage(struct hf_stage* stage, const struct hf_bits* matched,
                                          __u32 kind) {
  if (!hf_has_kind(kind) || !hf_overlap(matched, &control.of_kind[kind])) return 0;
  hf_copy(&stage->bits, matched);
  hf_and(&stage->bits, &control.of_kind[kind]);
  stage->kind = kind;
  return 1;
}

static __always_inline void hf_run_stage(struct hf_stage* stage, const struct hf_bits* matched,
                                         __u32 kind) {
  if (hf_begin_stage(stage, matched, kind)) bpf_loop(HF_MAX_RULES, hf_apply_rule, stage, 0);
}

static __always_inline int hf_drop(const struct hf_packet* packet) {
  return packet->direction == HF_TO ? (int)bpf_redirect(HF_NOWHERE, 0) : HF_SHOT;
}

/* The end of a packet that rule `id` dropped. */
static __always_inline int hf_end(struct __sk_buff* skb, const struct hf_packet* packet, __u32 id,
                                  __u32 refusal) {
  if (!config.use_refusals || !refusal || hf_refuse(skb, packet, refusal)) return hf_drop(packet);
  hf_count(skb, id, HF_ANSWERED);
  return hf_send_back(skb, packet);
}

static __always_inline int hf_apply_dns(struct __sk_buff* skb, const struct hf_packet* packet,
                                        struct hf_stage* stage, const struct hf_bits* matched) {
  if (!hf_begin_stage(stage, matched, HF_DNS)) return HF_NEXT;
  __u32 name_length = hf_match_name(skb, packet, &stage->bits);
  if (!name_length) return HF_NEXT;
  stage->dns_response = -1;
  bpf_loop(HF_MAX_RULES, hf_apply_rule, stage, 0);
  if (stage->dns_response < 0) return HF_NEXT;
  int lost = stage->dns_response == HF_DNS_TIMEOUT ||
             hf_make_answer(skb, packet, name_length, stage->dns_response);

  hf_count(skb, stage->rule, lost ? HF_DROPPED : HF_ANSWERED);
  if (lost) return hf_drop(packet);
  return hf_send_back(skb, packet);
}

/* Delays add up: the line is told of all rules. Not over loopback, whose packets carry their route,
 * which they would lose. */
static __always_inline int hf_apply_latency(struct __sk_buff* skb, const struct hf_packet* packet,
                                            struct hf_stage* stage, const struct hf_bits* matched) {
  if (!config.use_line || skb->ifindex == HF_LOOPBACK_IFINDEX ||
      !hf_begin_stage(stage, matched, HF_LATENCY))
    return HF_NEXT;
  bpf_loop(HF_MAX_RULES, hf_apply_rule, stage, 0);
  if (hf_none(&stage->delaying)) return HF_NEXT;
  int verdict = hf_hand_to_line(skb, packet, &stage->delaying, stage->narrow->flow);
  if (verdict != HF_NEXT) return verdict;
  hf_copy(&stage->bits, &stage->delaying);
  stage->what = HF_UNDELAYED;
  bpf_loop(HF_MAX_RULES, hf_apply_rule, stage, 0);
  return HF_NEXT;
}

/* One rule and no other, as nearly always: what the stages below would come to, without them. */
static __always_inline int hf_apply_lone(struct __sk_buff* skb, const struct hf_packet* packet,
                                         const struct hf_rule* rule, __u32 id, int spared) {
  if (spared) {
    hf_count(skb, id, HF_SPARED);
    return HF_NEXT;
  }
  return hf_rule_drops(skb, rule, rule->kind, id, packet->direction)
             ? hf_end(skb, packet, id, rule->refusal)
             : HF_NEXT;
}

/* Every kind of fault in its turn, over all matched rules. */
static __noinline int hf_apply_stages(struct __sk_buff* skb, const struct hf_packet* packet,
                                      const struct hf_bits* matched, const struct hf_narrow* narrow,
                                      int spared) {
  struct hf_stage stage = {.skb = skb, .narrow = narrow, .direction = packet->direction};

  if (spared) {
    stage.what = HF_SPARED;
    /* Written out: Linux 6.1 takes no loop around a function that is passed on. */
    hf_run_stage(&stage, matched, HF_NOOP);
    hf_run_stage(&stage, matched, HF_BLACKHOLE);
    hf_run_stage(&stage, matched, HF_LOSS);
    hf_run_stage(&stage, matched, HF_DNS);
    hf_run_stage(&stage, matched, HF_LATENCY);
    return HF_NEXT;
  }
  hf_run_stage(&stage, matched, HF_NOOP);
  hf_run_stage(&stage, matched, HF_BLACKHOLE);
  if (!stage.drop) hf_run_stage(&stage, matched, HF_LOSS);
  if (stage.drop) return hf_end(skb, packet, stage.rule, stage.refusal);
  int verdict = hf_apply_dns(skb, packet, &stage, matched);
  if (verdict != HF_NEXT) return verdict;
  return hf_apply_latency(skb, packet, &stage, matched);
}

/* `matched` is not empty. The lease and protected traffic come first, whatever the rules say. */
static __always_inline int hf_apply(struct __sk_buff* skb, const struct hf_packet* packet,
                                    const struct hf_bits* matched) {
  struct hf_narrow narrow = {.now = hf_now()};

  if (narrow.now >= control.lease_deadline_ns) return HF_NEXT;
  narrow.flow = hf_flow_hash(packet);
  hf_look_at_transport(skb, packet, &narrow);
  int spared = hf_is_protected(skb, packet);
  __u32 id = hf_lone(matched);
  if (id < HF_MAX_RULES) {
    const struct hf_rule* rule = &control.rules[id];

    if (hf_passes_by(rule, &narrow)) return HF_NEXT;
    if (rule->kind != HF_DNS && rule->kind != HF_LATENCY)
      return hf_apply_lone(skb, packet, rule, id, spared);
  }
  return hf_apply_stages(skb, packet, matched, &narrow, spared);
}

#endif
