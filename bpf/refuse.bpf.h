/* Telling the sender of a packet that it got nowhere, in a packet made out of its own. */
#ifndef HOLDFAST_REFUSE_BPF_H
#define HOLDFAST_REFUSE_BPF_H

#include "narrow.bpf.h"
#include "turn.bpf.h"

#define HF_TCP_HEADER 20
#define HF_ICMP_HEADER 8
#define HF_PSEUDO_HEADER 40
/* Of the packet that it is about, an ICMP error quotes the IP header and 8 octets: the ports, and
 * where TCP was (RFC 792; RFC 4443 asks for more, which no receiver needs). Of TCP all of its
 * header: the kernel cuts no packet before the checksum that it has still to fill in. */
#define HF_QUOTED 8
#define HF_QUOTED_MOST HF_TCP_HEADER

/* What checksums are computed over: the pseudo-header of IPv6 (RFC 8200, 8.1), and a TCP header or
 * an ICMP message. IPv4's comes to the same, since the prefix of mapped addresses adds nothing in
 * one's complement. */
struct hf_refusal_scratch {
  __u8 pseudo[HF_PSEUDO_HEADER];
  __u8 message[HF_ICMP_HEADER + sizeof(struct ipv6hdr) + HF_QUOTED_MOST];
  __u8 outer[sizeof(struct ipv6hdr)];
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct hf_refusal_scratch);
} refusal_scratch SEC(".maps");

static __always_inline struct hf_refusal_scratch* hf_begin_refusal(const struct hf_packet* packet,
                                                                   __u8 protocol, __u8 length) {
  __u32 zero = 0;
  struct hf_refusal_scratch* scratch = bpf_map_lookup_elem(&refusal_scratch, &zero);

  if (!scratch) return 0;
  __builtin_memset(scratch, 0, sizeof(*scratch));
  /* In either order: the sum commutes. */
  __builtin_memcpy(scratch->pseudo, &packet->local, 16);
  __builtin_memcpy(scratch->pseudo + 16, &packet->remote, 16);
  scratch->pseudo[35] = length;
  scratch->pseudo[39] = protocol;
  return scratch;
}

/* The reset that a closed port sends (RFC 9293, 3.10.7.1). 0, or -1: the packet is to be dropped
 * then, since it may be half of each. */
__noinline int hf_make_reset(struct __sk_buff* skb, const struct hf_packet* packet) {
  if (!packet) return -1; /* never; the verifier asks */
  struct hf_refusal_scratch* scratch = hf_begin_refusal(packet, IPPROTO_TCP, HF_TCP_HEADER);
  __u32 tcp = packet->transport_offset;
  __be32 acknowledged;
  __u8 ports[4];

  if (!scratch) return -1;
  __u8* header = scratch->message;
  if (bpf_skb_load_bytes(skb, tcp, header, HF_TCP_HEADER)) return -1;
  __u8 flags = header[HF_TCP_FLAGS];
  if (skb->len > tcp + HF_TCP_HEADER && bpf_skb_change_tail(skb, tcp + HF_TCP_HEADER, 0)) return -1;
  if (hf_swap_ends(skb, packet) || hf_shorten_ip(skb, packet, HF_TCP_HEADER)) return -1;
  __builtin_memcpy(ports, header, sizeof(ports));
  header[0] = ports[2];
  header[1] = ports[3];
  header[2] = ports[0];
  header[3] = ports[1];
  if (flags & HF_TCP_ACK) {
    __builtin_memcpy(header + 4, header + 8, 4);
    __builtin_memset(header + 8, 0, 4);
    header[HF_TCP_FLAGS] = HF_TCP_RST;
  } else {
    /* Data in a SYN (RFC 7413) is not acknowledged. */
    __builtin_memcpy(&acknowledged, header + 4, 4);
    acknowledged =
        bpf_htonl(bpf_ntohl(acknowledged) + !!(flags & HF_TCP_SYN) + !!(flags & HF_TCP_FIN));
    __builtin_memcpy(header + 8, &acknowledged, 4);
    __builtin_memset(header + 4, 0, 4);
    header[HF_TCP_FLAGS] = HF_TCP_RST | HF_TCP_ACK;
  }
  header[12] = HF_TCP_HEADER / 4 << 4;
  __builtin_memset(header + 14, 0, 6); /* window, checksum, urgent pointer */
  __s64 sum = bpf_csum_diff(0, 0, (__be32*)scratch, HF_PSEUDO_HEADER + HF_TCP_HEADER, 0);
  if (sum < 0) return -1;
  __u16 folded = hf_fold((__u32)sum);
  __builtin_memcpy(header + 16, &folded, sizeof(folded));
  return bpf_skb_store_bytes(skb, tcp, header, HF_TCP_HEADER, 0) ? -1 : 0;
}

/* Writes the IP header and the ICMP header in front of what is quoted, with their checksums. `size`
 * is that of an IP header, behind which `cut` octets are quoted. */
static __always_inline int hf_store_icmp(struct __sk_buff* skb, const struct hf_packet* packet,
                                         __u32 refusal, const __u32 size, const __u32 cut) {
  const __u32 length = HF_ICMP_HEADER + size + cut;
  struct hf_refusal_scratch* scratch = hf_begin_refusal(packet, HF_IPPROTO_ICMPV6, length);

  if (!scratch) return -1;
  if (size == sizeof(struct ipv6hdr)) {
    scratch->message[0] = 1;                                 /* destination unreachable */
    scratch->message[1] = refusal == HF_UNREACHABLE ? 3 : 4; /* address, port */
  } else {
    scratch->message[0] = 3;
    scratch->message[1] = refusal == HF_UNREACHABLE ? 1 : 3; /* host, port */
  }
  __u32 ip = packet->network_offset;
  __u8* outer = scratch->outer;
  __u8* quoted = scratch->message + HF_ICMP_HEADER;
  __s64 sum;

  if (bpf_skb_load_bytes(skb, ip + size + HF_ICMP_HEADER, quoted, size + cut)) return -1;
  if (size == sizeof(struct ipv6hdr)) {
    sum = bpf_csum_diff(0, 0, (__be32*)scratch, HF_PSEUDO_HEADER + length, 0);
    outer[0] = 0x60;
    outer[5] = length;
    outer[6] = HF_IPPROTO_ICMPV6;
    outer[7] = 64;
    __builtin_memcpy(outer + 8, quoted + 24, 16);
    __builtin_memcpy(outer + 24, quoted + 8, 16);
  } else {
    sum = bpf_csum_diff(0, 0, (__be32*)scratch->message, length, 0);
    outer[0] = 0x45;
    outer[3] = size + length;
    outer[8] = 64;
    outer[9] = IPPROTO_ICMP;
    __builtin_memcpy(outer + 12, quoted + 16, 4);
    __builtin_memcpy(outer + 16, quoted + 12, 4);
  }
  if (sum < 0) return -1;
  __u16 folded = hf_fold((__u32)sum);
  __builtin_memcpy(scratch->message + 2, &folded, sizeof(folded));
  if (size == sizeof(struct iphdr)) {
    sum = bpf_csum_diff(0, 0, (__be32*)outer, sizeof(struct iphdr), 0);
    if (sum < 0) return -1;
    folded = hf_fold((__u32)sum);
    __builtin_memcpy(outer + 10, &folded, sizeof(folded));
  }
  return bpf_skb_store_bytes(skb, ip, outer, size, 0) ||
                 bpf_skb_store_bytes(skb, ip + size, scratch->message, HF_ICMP_HEADER, 0)
             ? -1
             : 0;
}

/* The ICMP error (RFC 792, RFC 4443) of a router or a closed port. 0, or -1 as above. */
__noinline int hf_make_unreachable(struct __sk_buff* skb, const struct hf_packet* packet,
                                   __u32 refusal) {
  if (!packet) return -1; /* never; the verifier asks */
  const __u32 size = packet->is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
  const int is_tcp = packet->protocol == IPPROTO_TCP;
  const __u32 kept = packet->network_offset + size + (is_tcp ? HF_QUOTED_MOST : HF_QUOTED);
  __u8 a[6], b[6];
  int failed;

  /* Options and extension headers would have to be quoted, too. */
  if (packet->transport_offset != packet->network_offset + size || skb->len < kept) return -1;
  if (skb->len > kept && bpf_skb_change_tail(skb, kept, 0)) return -1;
  if (bpf_skb_adjust_room(skb, size + HF_ICMP_HEADER, BPF_ADJ_ROOM_MAC, 0)) return -1;
  if (packet->is_ipv6)
    failed = is_tcp ? hf_store_icmp(skb, packet, refusal, sizeof(struct ipv6hdr), HF_QUOTED_MOST)
                    : hf_store_icmp(skb, packet, refusal, sizeof(struct ipv6hdr), HF_QUOTED);
  else
    failed = is_tcp ? hf_store_icmp(skb, packet, refusal, sizeof(struct iphdr), HF_QUOTED_MOST)
                    : hf_store_icmp(skb, packet, refusal, sizeof(struct iphdr), HF_QUOTED);
  if (failed) return -1;
  return packet->has_ethernet && skb->ifindex != HF_LOOPBACK_IFINDEX && hf_swap(skb, 0, 6, a, b, 6)
             ? -1
             : 0;
}

/* Nobody answers what was sent to many (RFC 1122, 3.2.2). */
static __always_inline int hf_is_to_many(const struct hf_packet* packet) {
  const __u8* to = (packet->direction == HF_TO ? &packet->remote : &packet->local)->byte;

  return packet->is_ipv6 ? to[0] == 0xff : to[12] >= 224;
}

/* Turns the packet into its refusal. 0, or -1 where there is none: it is to be dropped. */
static __always_inline int hf_refuse(struct __sk_buff* skb, const struct hf_packet* packet,
                                     __u32 refusal) {
  int has_ports = packet->remote_port != 0;

  if (hf_is_to_many(packet)) return -1;
  if (refusal == HF_REFUSED && packet->protocol == IPPROTO_TCP && has_ports)
    return hf_make_reset(skb, packet);
  if (refusal == HF_REFUSED && (packet->protocol != IPPROTO_UDP || !has_ports)) return -1;
  return hf_make_unreachable(skb, packet, refusal);
}

#endif
