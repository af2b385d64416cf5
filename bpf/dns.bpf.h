/* DNS over UDP (RFC 1035): which rules name the question, and an answer made out of the query
 * itself.
 *
 * The answer is the query with its ends swapped, cut after the question: no record, no EDNS option
 * (a server that does not know EDNS answers so, RFC 6891, 7), and the wanted RCODE. */
#ifndef HOLDFAST_DNS_BPF_H
#define HOLDFAST_DNS_BPF_H

#include <linux/udp.h>

#include "match.bpf.h"
#include "turn.bpf.h"

#define HF_DNS_HEADER 12
#define HF_DNS_MAX_NAME 255
#define HF_DNS_QUESTION_TAIL 4 /* QTYPE and QCLASS */

struct hf_dns_scratch {
  __u8 wire[HF_NAME_BYTES];
  struct hf_name_key key;
  __u32 position, label_left, length, bad;
  /* Pseudo-header, UDP header, DNS header and question, for the checksum that IPv6 wants. */
  __u8 sum[40 + 8 + HF_DNS_HEADER + HF_NAME_BYTES + HF_DNS_QUESTION_TAIL];
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct hf_dns_scratch);
} dns_scratch SEC(".maps");

static long hf_scan_octet(__u32 index, void* context) {
  struct hf_dns_scratch* scratch = *(struct hf_dns_scratch**)context;
  __u8 octet = scratch->wire[index & (HF_NAME_BYTES - 1)];

  if (scratch->label_left == 0) {
    if (octet == 0) {
      scratch->length = index + 1;
      return 1;
    }
    if (octet > 63) { /* a compression pointer has no place in a question */
      scratch->bad = 1;
      return 1;
    }
    scratch->label_left = octet;
    return 0;
  }
  scratch->label_left--;
  if (octet >= 'A' && octet <= 'Z') scratch->wire[index & (HF_NAME_BYTES - 1)] = octet | 0x20;
  return 0;
}

static long hf_reverse_octet(__u32 index, void* context) {
  struct hf_dns_scratch* scratch = *(struct hf_dns_scratch**)context;

  scratch->key.reversed[index & (HF_NAME_BYTES - 1)] =
      scratch->wire[(scratch->length - 1 - index) & (HF_NAME_BYTES - 1)];
  return 0;
}

/* Narrows `bits` (matching rules of kind dns) to those that name the question. Returns the length
 * of the wire name, 0 where the packet is no plain query. */
static __noinline __u32 hf_match_name(struct __sk_buff* skb, const struct hf_packet* packet,
                                      struct hf_bits* bits) {
  __u32 zero = 0;
  struct hf_dns_scratch* scratch = bpf_map_lookup_elem(&dns_scratch, &zero);
  __u8 header[HF_DNS_HEADER];
  __u32 dns = packet->transport_offset + sizeof(struct udphdr);
  __u32 name = dns + HF_DNS_HEADER;

  if (!scratch || packet->protocol != IPPROTO_UDP || !packet->remote_port) return 0;
  if (bpf_skb_load_bytes(skb, dns, header, sizeof(header))) return 0;
  /* QR and OPCODE zero: a standard query; one question. */
  if ((header[2] & 0xf8) != 0 || header[4] != 0 || header[5] != 1) return 0;
  if (name + 1 + HF_DNS_QUESTION_TAIL > skb->len) return 0;
  __u32 available = skb->len - name;
  if (available > HF_NAME_BYTES) available = HF_NAME_BYTES;
  /* 6.1's verifier does not learn from the comparisons that 1 <= available <= 256. */
  available = ((available - 1) & (HF_NAME_BYTES - 1)) + 1;
  if (bpf_skb_load_bytes(skb, name, scratch->wire, available)) return 0;
  scratch->label_left = 0;
  scratch->length = 0;
  scratch->bad = 0;
  bpf_loop(available, hf_scan_octet, &scratch, 0);
  __u32 length = scratch->length;
  if (scratch->bad || length == 0 || length > HF_DNS_MAX_NAME ||
      name + length + HF_DNS_QUESTION_TAIL > skb->len)
    return 0;
  bpf_loop(length, hf_reverse_octet, &scratch, 0);
  scratch->key.prefix_length = length * 8;
  const struct hf_name_value* found = bpf_map_lookup_elem(&names, &scratch->key);
  if (!found) return 0;
  HF_EACH_WORD(i) {
    __u64 named = found->zone.word[i];

    if (found->length == length) named |= found->exact.word[i];
    bits->word[i] &= named;
  }
  return hf_none(bits) ? 0 : length;
}

/* The UDP checksum over IPv6, which may not be left out (RFC 8200, 8.1). Written in place. */
static __noinline int hf_sum_ipv6_udp(struct __sk_buff* skb, const struct hf_packet* packet,
                                      __u32 udp_length) {
  __u32 zero = 0;
  struct hf_dns_scratch* scratch = bpf_map_lookup_elem(&dns_scratch, &zero);

  if (!scratch || udp_length < sizeof(struct udphdr) || udp_length > sizeof(scratch->sum) - 40)
    return -1;
  __builtin_memset(scratch->sum, 0, sizeof(scratch->sum));
  /* Both ends are equal in either order: the sum commutes. */
  __builtin_memcpy(scratch->sum, &packet->local, 16);
  __builtin_memcpy(scratch->sum + 16, &packet->remote, 16);
  scratch->sum[34] = udp_length >> 8;
  scratch->sum[35] = udp_length & 0xff;
  scratch->sum[39] = IPPROTO_UDP;
  __u32 bytes = ((udp_length - 1) & 0x1ff) + 1;
  if (bytes > sizeof(scratch->sum) - 40) return -1;
  if (bpf_skb_load_bytes(skb, packet->transport_offset, scratch->sum + 40, bytes)) return -1;
  scratch->sum[46] = 0;
  scratch->sum[47] = 0;
  __s64 sum = bpf_csum_diff(0, 0, (__be32*)scratch->sum, sizeof(scratch->sum), 0);
  if (sum < 0) return -1;
  __u16 folded = hf_fold((__u32)sum);
  if (folded == 0) folded = 0xffff;
  return bpf_skb_store_bytes(skb, packet->transport_offset + 6, &folded, sizeof(folded), 0);
}

/* Turns the query into its answer. 0, or -1 where the packet could not be rewritten: it must be
 * dropped then, since it may be half of each. */
__noinline int hf_make_answer(struct __sk_buff* skb, const struct hf_packet* packet,
                              __u32 name_length, __u32 rcode) {
  if (!packet || name_length > HF_NAME_BYTES) return -1; /* never; the verifier asks */
  __u32 udp = packet->transport_offset;
  __u32 dns = udp + sizeof(struct udphdr);
  __u32 end = dns + HF_DNS_HEADER + name_length + HF_DNS_QUESTION_TAIL;
  __u32 udp_length = end - udp;
  __be16 wire_length = bpf_htons(udp_length);
  __u8 a[2], b[2];
  __u8 flags[2];
  __u8 no_records[6] = {};
  __be16 no_sum = 0;

  if (skb->len > end && bpf_skb_change_tail(skb, end, 0)) return -1;
  if (hf_swap_ends(skb, packet)) return -1;
  if (hf_swap(skb, udp, udp + 2, a, b, 2) || hf_shorten_ip(skb, packet, udp_length)) return -1;
  if (bpf_skb_load_bytes(skb, dns + 2, flags, sizeof(flags))) return -1;
  flags[0] = 0x80 | (flags[0] & 0x01);         /* QR, and RD as asked */
  flags[1] = 0x80 | (flags[1] & 0x10) | rcode; /* RA, CD as asked */
  if (bpf_skb_store_bytes(skb, dns + 2, flags, sizeof(flags), 0) ||
      bpf_skb_store_bytes(skb, dns + 6, no_records, sizeof(no_records), 0) ||
      bpf_skb_store_bytes(skb, udp + 4, &wire_length, sizeof(wire_length), 0) ||
      bpf_skb_store_bytes(skb, udp + 6, &no_sum, sizeof(no_sum), 0))
    return -1;
  return packet->is_ipv6 ? hf_sum_ipv6_udp(skb, packet, udp_length) : 0;
}

#endif
