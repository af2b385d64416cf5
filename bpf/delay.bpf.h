/* Handing packets to the delay line, a process that reads them from a TAP and writes them back when
 * they are due, and taking them from it again. */
#ifndef HOLDFAST_DELAY_BPF_H
#define HOLDFAST_DELAY_BPF_H

#include "match.bpf.h"
#include "turn.bpf.h"

/* In tc_index, which nobody reads between here and the interface that a packet goes on to: all was
 * done to it. TWICE: over loopback, from one end to the other. */
#define HF_IS_DONE 0x4846
#define HF_IS_DONE_TWICE 0x4847

/* The kernel gives room at the head only up to four pages (BPF_SKB_MAX_LEN, net/core/filter.c);
 * frames that are cut up later are exempt. Only loopback has longer packets. */
#define HF_LONGEST_PARCEL 15000

static __always_inline int hf_is_done(struct __sk_buff* skb, __u8 direction) {
  __u32 mark = skb->tc_index;

  if (mark != HF_IS_DONE && mark != HF_IS_DONE_TWICE) return 0;
  skb->tc_index = mark == HF_IS_DONE_TWICE && direction == HF_TO ? HF_IS_DONE : 0;
  return 1;
}

/* Sends a copy the same way. Over loopback a packet that is taken in anew has lost its route: what
 * arrives there is sent once more instead. See hf_count for what it is. */
__noinline int hf_send_copy(struct __sk_buff* skb, __u32 direction) {
  int from_loopback = direction == HF_FROM && skb->ifindex == HF_LOOPBACK_IFINDEX;

  skb->tc_index = from_loopback ? HF_IS_DONE_TWICE : HF_IS_DONE;
  int failed = (int)bpf_clone_redirect(skb, skb->ifindex,
                                       direction == HF_TO || from_loopback ? 0 : BPF_F_INGRESS);

  skb->tc_index = 0;
  return failed;
}

/* Takes the outermost tag off. 0, or -1 where that fails. */
static __always_inline int hf_pop_tag(struct __sk_buff* skb, struct hf_vlan_tag* tag) {
  if (skb->vlan_present) {
    tag->protocol = skb->vlan_proto;
    tag->control = skb->vlan_tci;
  } else if (hf_is_vlan(skb->protocol)) {
    struct hf_vlan_header in_data;

    if (bpf_skb_load_bytes(skb, 2 * ETH_ALEN + sizeof(__be16), &in_data, sizeof(in_data)))
      return -1;
    tag->protocol = skb->protocol;
    tag->control = bpf_ntohs(in_data.tag);
  } else {
    return 0;
  }
  return bpf_skb_vlan_pop(skb) ? -1 : 0;
}

/* The verdict for a packet that `rules` have work for; HF_NEXT where the line can't take it. The
 * line makes a copy, too, where `copies` says so. */
__noinline int hf_hand_to_line(struct __sk_buff* skb, const struct hf_packet* packet,
                               const struct hf_bits* rules, __u64 flow, __u32 copies) {
  if (!packet || !rules) return HF_NEXT; /* never; the verifier asks */
  struct hf_parcel parcel = {.direction = packet->direction,
                             .has_ethernet = packet->has_ethernet,
                             .type = bpf_htons(packet->is_ipv6 ? ETH_P_IPV6 : ETH_P_IP),
                             .arrived_ns = bpf_ktime_get_ns(),
                             .flow = flow,
                             .ifindex = skb->ifindex,
                             .mark = skb->mark,
                             .priority = skb->priority,
                             .copies = copies};

  if (!control.line_ifindex || parcel.arrived_ns >= control.line_deadline_ns) return HF_NEXT;
  if (!skb->gso_size && skb->len > HF_LONGEST_PARCEL) return HF_NEXT;
  /* A sender that paces itself by departure times has not left the packet yet. Beyond an hour it is
   * another clock's. */
  if (packet->direction == HF_TO && skb->tstamp > parcel.arrived_ns &&
      skb->tstamp - parcel.arrived_ns < 3600000000000ULL)
    parcel.arrived_ns = skb->tstamp;
  HF_EACH_WORD(i) parcel.rules.word[i] = rules->word[i];
  if (packet->has_ethernet &&
      (hf_pop_tag(skb, &parcel.tags[0]) || hf_pop_tag(skb, &parcel.tags[1])))
    return HF_SHOT;
  if (bpf_skb_change_head(skb, sizeof(parcel), 0) ||
      bpf_skb_store_bytes(skb, 0, &parcel, sizeof(parcel), 0))
    return HF_SHOT; /* no memory */
  return bpf_redirect(control.line_ifindex, 0);
}

static __always_inline int hf_push_tag(struct __sk_buff* skb, const struct hf_vlan_tag* tag) {
  return tag->protocol ? (int)bpf_skb_vlan_push(skb, tag->protocol, tag->control) : 0;
}

/* What came out of the TAP goes on where it was taken. Anything else that was written to it is
 * nobody's packet. */
static __always_inline int hf_take_from_line(struct __sk_buff* skb) {
  struct hf_parcel parcel;
  __u8 ethernet[ETH_HLEN];

  if (bpf_skb_load_bytes(skb, 0, &parcel, sizeof(parcel))) return HF_SHOT;
  /* The TAP's own Ethernet header stays, and becomes that of the packet. */
  __s32 surplus = sizeof(parcel) - ETH_HLEN;
  if (parcel.has_ethernet) {
    if (bpf_skb_load_bytes(skb, sizeof(parcel), ethernet, sizeof(ethernet))) return HF_SHOT;
    surplus += ETH_HLEN;
  }
  if (bpf_skb_adjust_room(skb, -surplus, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
    return HF_SHOT;
  if (parcel.has_ethernet &&
      (bpf_skb_store_bytes(skb, 0, ethernet, sizeof(ethernet), 0) ||
       hf_push_tag(skb, &parcel.tags[1]) || hf_push_tag(skb, &parcel.tags[0])))
    return HF_SHOT;
  skb->mark = parcel.mark;
  skb->priority = parcel.priority;
  skb->tc_index = HF_IS_DONE;
  return bpf_redirect(parcel.ifindex, parcel.direction == HF_TO ? 0 : BPF_F_INGRESS);
}

#endif
