/* Layers 3 and 4: what the matched rules do to the packet, stage by stage in the order of enum
 * hf_kind. */
#ifndef HOLDFAST_APPLY_BPF_H
#define HOLDFAST_APPLY_BPF_H

#include "corrupt.bpf.h"
#include "count.bpf.h"
#include "delay.bpf.h"
#include "dns.bpf.h"
#include "draw.bpf.h"
#include "narrow.bpf.h"
#include "protect.bpf.h"
#include "refuse.bpf.h"

/* No device has this index: redirecting there frees the packet, and unlike a shot on egress the
 * sender is told that it was sent. TCP then sees wire loss and not a full local queue, which it
 * would not count as sent at all. */
#define HF_NOWHERE 0x7fffffff

/* The stack is 512 bytes for a program and all it calls, hence small fields and none twice. */
struct hf_stage {
  struct __sk_buff* skb;
  const struct hf_narrow* narrow;
  struct hf_bits bits; /* to do; behind a loop: what the delay line has to */
  __u64 word;          /* … of the one that is being worked on */
  __s32 dns_response;  /* out: -1, or enum hf_dns_response */
  __u16 word_base;     /* the number of its first rule */
  __u16 next_word;
  __u16 rule;                /* out: the one that answers or refuses */
  __u16 corrupts, copied_by; /* out: the ones that do */
  __u8 direction;
  __u8 what;                 /* not 0: only count so */
  __u8 drop;                 /* out */
  __u8 refusal;              /* out: of the first rule that dropped the packet */
  __u8 is_corrupted, copies; /* out: what is to be done to it */
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

/* Nothing is left; and nothing in this word. */
#define HF_NO_RULE HF_MAX_RULES
#define HF_NOT_YET (HF_MAX_RULES + 1)

/* Takes the lowest rule out of the stage's. Word by word: the verifier follows one way through
 * each, where a search in all of them would give it many. */
static __always_inline __u32 hf_take(struct hf_stage* stage) {
  __u64 word = stage->word;

  if (!word) {
    __u32 at = stage->next_word;

    if (at >= config.words) return HF_NO_RULE;
    at &= HF_WORDS - 1;
    word = stage->bits.word[at];
    stage->bits.word[at] = 0;
    stage->word_base = at * 64;
    stage->next_word = at + 1;
    if (!word) return HF_NOT_YET;
  }
  stage->word = word & (word - 1);
  return (stage->word_base + hf_lowest_bit(word)) & (HF_MAX_RULES - 1);
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

/* Whether this rule drops the packet; counts it. For kinds up to HF_LOSS. */
static __always_inline int hf_rule_drops(struct __sk_buff* skb, const struct hf_rule* rule,
                                         __u32 kind, __u32 id, __u32 direction) {
  struct hf_counters* counter = bpf_map_lookup_elem(&counters, &id);

  if (!counter) return 0;
  int drops = kind == HF_BLACKHOLE || (kind == HF_LOSS && hf_draw(rule, id, direction, counter));

  hf_add(counter, skb, drops ? HF_MATCHED | HF_DROPPED : HF_MATCHED);
  return drops;
}

/* In `corrupts`: the packet is, but not here. */
#define HF_BY_LINE HF_MAX_RULES

/* The kinds that do not end a packet's way, noted for those that are behind the loop. */
static __always_inline void hf_note_rule(struct hf_stage* stage, const struct hf_rule* rule,
                                         __u32 id) {
  __u32 kind = rule->kind;

  /* Over loopback packets carry their route, which they would lose on their way through the line.
   */
  if (stage->skb->ifindex == HF_LOOPBACK_IFINDEX &&
      (kind == HF_CORRUPT ? rule->leave_checksum : kind != HF_DUPLICATE))
    return;
  /* Once, whatever else is meant to. */
  if ((kind == HF_CORRUPT && stage->is_corrupted) || (kind == HF_DUPLICATE && stage->copies))
    return;
  hf_count(stage->skb, id, HF_MATCHED);
  if (kind < HF_LATENCY && !hf_draws(id, stage->direction)) return;
  if (kind == HF_DUPLICATE) {
    stage->copies = 1;
    stage->copied_by = id;
    return;
  }
  if (kind == HF_CORRUPT) {
    stage->is_corrupted = 1;
    stage->corrupts = rule->leave_checksum ? HF_BY_LINE : id;
    if (!rule->leave_checksum) return;
  }
  stage->bits.word[(id / 64) & (HF_WORDS - 1)] |= 1ULL << (id % 64);
}

static long hf_apply_rule(__u32 index, void* context) {
  struct hf_stage* stage = context;
  __u32 id = hf_take(stage);

  if (id >= HF_MAX_RULES) return id == HF_NO_RULE;
  const struct hf_rule* rule = &control.rules[id];
  if (hf_passes_by(rule, stage->narrow)) return 0;
  if (stage->what) {
    hf_count(stage->skb, id, stage->what);
    return 0;
  }
  if (config.kinds >> HF_CORRUPT && rule->kind >= HF_CORRUPT) {
    hf_note_rule(stage, rule, id);
    return 0;
  }
  if (rule->kind == HF_DNS) {
    stage->dns_response = rule->dns_response;
    stage->rule = id;
    hf_count(stage->skb, id, HF_MATCHED); /* its bytes before they become an answer's */
    return 1;                             /* one answer */
  }
  int drops =
      rule->kind == HF_BLACKHOLE || (rule->kind == HF_LOSS && hf_draws(id, stage->direction));

  hf_count(stage->skb, id, drops ? HF_MATCHED | HF_DROPPED : HF_MATCHED);
  if (!drops) return 0;
  if (!stage->drop) {
    stage->refusal = rule->refusal;
    stage->rule = id;
  }
  stage->drop = 1;
  /* Lost at random, it is gone, and later rules never see it; every blackhole counts it. */
  return rule->kind == HF_LOSS;
}

static __always_inline int hf_has_kind(__u32 kind) { return (config.kinds >> kind) & 1; }

static __always_inline void hf_each_rule(struct hf_stage* stage) {
  bpf_loop(HF_MAX_RULES + HF_WORDS, hf_apply_rule, stage, 0);
}

#define HF_KIND(kind) (1U << (kind))
#define HF_ALL_KINDS (HF_KIND(HF_KINDS) - 1)
/* From HF_CORRUPT on: what happens to packets that go on. */
#define HF_SHAPING (HF_ALL_KINDS & ~(HF_KIND(HF_CORRUPT) - 1))

/* A zero that the verifier does not know to be one: it would follow each combination of what the
 * loops may have written by itself. */
static __always_inline __u32 hf_zero(void) { return control.zero; }

static __always_inline void hf_rewind(struct hf_stage* stage) {
  stage->word = hf_zero();
  stage->next_word = hf_zero();
  stage->word_base = hf_zero();
}

/* Fills in the matched rules of some kinds. Returns whether there are any: most stages have nothing
 * to do, and that is found out before anything is written. */
static __always_inline int hf_begin_stage(struct hf_stage* stage, const struct hf_bits* matched,
                                          __u32 kinds) {
  __u64 any = 0;

  if (!(config.kinds & kinds)) return 0;
  __builtin_memset(&stage->bits, 0, sizeof(stage->bits));
  hf_rewind(stage);
  HF_EACH_WORD(i) {
    __u64 word = 0;

#pragma unroll
    for (int kind = 0; kind < HF_KINDS; kind++)
      if (kinds & HF_KIND(kind) & config.kinds) word |= control.of_kind[kind].word[i];
    stage->bits.word[i] = word & matched->word[i];
    any |= stage->bits.word[i];
  }
  return any != 0;
}

static __always_inline void hf_run_stage(struct hf_stage* stage, const struct hf_bits* matched,
                                         __u32 kinds) {
  if (hf_begin_stage(stage, matched, kinds)) hf_each_rule(stage);
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
  if (!hf_begin_stage(stage, matched, HF_KIND(HF_DNS))) return HF_NEXT;
  __u32 name_length = hf_match_name(skb, packet, &stage->bits);
  if (!name_length) return HF_NEXT;
  stage->dns_response = -1;
  hf_each_rule(stage);
  if (stage->dns_response < 0) return HF_NEXT;
  int lost = stage->dns_response == HF_DNS_TIMEOUT ||
             hf_make_answer(skb, packet, name_length, stage->dns_response);

  hf_count(skb, stage->rule, lost ? HF_DROPPED : HF_ANSWERED);
  if (lost) return hf_drop(packet);
  return hf_send_back(skb, packet);
}

/* What happens to a packet that goes on: changed, doubled, and kept back. The line is told of all
 * rules that it has to do. */
static __always_inline int hf_apply_shaping(struct __sk_buff* skb, const struct hf_packet* packet,
                                            struct hf_stage* stage, const struct hf_bits* matched) {
  int verdict = HF_NEXT;

  if (!hf_begin_stage(stage, matched, HF_SHAPING)) return HF_NEXT;
  hf_each_rule(stage);
  if (hf_has_kind(HF_CORRUPT) && stage->is_corrupted && stage->corrupts != HF_BY_LINE) {
    __u32 protocol = packet->is_later_fragment ? 0 : packet->protocol;

    if (!hf_corrupt(skb, protocol, packet->transport_offset))
      hf_count(skb, stage->corrupts, HF_ALTERED);
  }
  if (hf_has_kind(HF_DUPLICATE) && stage->copies) hf_count(skb, stage->copied_by, HF_ALTERED);
  if (config.use_line && !hf_none(&stage->bits)) {
    verdict = hf_hand_to_line(skb, packet, &stage->bits, stage->narrow->flow, stage->copies);
    if (verdict != HF_NEXT) return verdict; /* … and what is to be copied is copied there */
    hf_rewind(stage);
    stage->what = HF_UNDELAYED;
    hf_each_rule(stage);
  }
  if (hf_has_kind(HF_DUPLICATE) && stage->copies) hf_send_copy(skb, packet->direction);
  return verdict;
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
__noinline int hf_apply_stages(struct __sk_buff* skb, const struct hf_packet* packet,
                               const struct hf_bits* matched, const struct hf_narrow* narrow,
                               int spared) {
  if (!packet || !matched || !narrow) return HF_NEXT; /* never; the verifier asks */
  __u32 zero = hf_zero();
  struct hf_stage stage = {.skb = skb,
                           .narrow = narrow,
                           .direction = packet->direction,
                           .drop = zero,
                           .dns_response = (__s32)zero,
                           .refusal = zero,
                           .rule = zero,
                           .is_corrupted = zero,
                           .corrupts = zero,
                           .copies = zero,
                           .copied_by = zero};

  if (spared) {
    stage.what = HF_SPARED;
    hf_run_stage(&stage, matched, HF_ALL_KINDS);
    return HF_NEXT;
  }
  hf_run_stage(&stage, matched, HF_KIND(HF_NOOP) | HF_KIND(HF_BLACKHOLE));
  if (!stage.drop) hf_run_stage(&stage, matched, HF_KIND(HF_LOSS));
  if (stage.drop) return hf_end(skb, packet, stage.rule, stage.refusal);
  int verdict = hf_apply_dns(skb, packet, &stage, matched);
  return verdict != HF_NEXT ? verdict : hf_apply_shaping(skb, packet, &stage, matched);
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
    if (rule->kind <= HF_LOSS) return hf_apply_lone(skb, packet, rule, id, spared);
  }
  return hf_apply_stages(skb, packet, matched, &narrow, spared);
}

#endif
