/* Layer 1: a packet's headers to the few fields that rules can match. Whatever can't be read passes
 * (fail open). */
#ifndef HOLDFAST_PARSE_BPF_H
#define HOLDFAST_PARSE_BPF_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "holdfast_abi.h"

/* 802.1Q and 802.1ad; linux/if_vlan.h does not export the header's layout. */
struct hf_vlan_header {
  __be16 tag;
  __be16 inner_type;
};

#define HF_IPPROTO_ICMPV6 58
#define HF_MAX_EXTENSION_HEADERS 6
#define HF_IPV6_FRAGMENT 44
#define HF_IPV6_AUTH 51

struct hf_packet {
  struct hf_address local;  /* the target's end */
  struct hf_address remote; /* the peer's end */
  __u32 network_offset;     /* of the IP header, from the start of the skb's data */
  __u32 transport_offset;
  __u16 local_port, remote_port; /* host byte order; 0 where the packet carries none */
  __u8 protocol;                 /* IPPROTO_* */
  __u8 is_ipv6;
  __u8 direction; /* enum hf_direction */
  __u8 has_ethernet;
  __u8 is_later_fragment; /* no transport header in it */
  __u8 pad[3];
};

static __always_inline int hf_is_vlan(__be16 type) {
  return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD);
}

static __always_inline int hf_is_extension_header(__u8 next) {
  return next == 0 /* hop-by-hop */ || next == 43 /* routing */ ||
         next == 60 /* destination options */ || next == HF_IPV6_FRAGMENT || next == HF_IPV6_AUTH;
}

/* Walks IPv6 extension headers (RFC 8200, 4). Rare, hence by helper calls. Returns 0 when the
 * transport header was found; 1 for a fragment other than the first, which has none. */
static __noinline int hf_walk_extension_headers(struct __sk_buff* skb, struct hf_packet* packet,
                                                __u8 next) {
  __u32 offset = packet->network_offset + sizeof(struct ipv6hdr);

  for (int i = 0; i < HF_MAX_EXTENSION_HEADERS; i++) {
    __u8 header[4]; /* next header, length, and a fragment header's offset */

    if (!hf_is_extension_header(next)) break;
    if (bpf_skb_load_bytes(skb, offset, header, sizeof(header))) return 1;
    if (next == HF_IPV6_FRAGMENT) {
      if ((header[2] << 8 | header[3]) & 0xfff8) {
        packet->protocol = header[0];
        return 1;
      }
      offset += 8;
    } else if (next == HF_IPV6_AUTH) {
      offset += ((__u32)header[1] + 2) * 4;
    } else {
      offset += ((__u32)header[1] + 1) * 8;
    }
    next = header[0];
  }
  packet->protocol = next;
  packet->transport_offset = offset;
  return 0;
}

static __always_inline void hf_map_ipv4(struct hf_address* out, __be32 address) {
  __u32* words = (__u32*)out->byte;

  words[0] = 0;
  words[1] = 0;
  words[2] = bpf_htonl(0xffff);
  words[3] = address;
}

/* Reads ports where the transport header is at hand. */
static __always_inline void hf_read_ports(struct __sk_buff* skb, struct hf_packet* packet) {
  __be16 ports[2];

  if (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP &&
      packet->protocol != IPPROTO_SCTP && packet->protocol != IPPROTO_DCCP &&
      packet->protocol != IPPROTO_UDPLITE)
    return;
  void* data = (void*)(long)skb->data;
  void* end = (void*)(long)skb->data_end;
  /* Bounded for the verifier; an Ethernet header, two tags and an IPv4 header with options are far
   * less. */
  __u32 offset = packet->transport_offset;
  if (offset <= 256 && data + offset + sizeof(ports) <= end) {
    __be16* at = data + offset;
    ports[0] = at[0];
    ports[1] = at[1];
  } else if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports))) {
    return;
  }
  __u16 source = bpf_ntohs(ports[0]);
  __u16 destination = bpf_ntohs(ports[1]);
  packet->local_port = packet->direction == HF_TO ? source : destination;
  packet->remote_port = packet->direction == HF_TO ? destination : source;
}

/* Fills `packet` (direction and has_ethernet are set by the caller). Returns 0 for an IP packet,
 * else the packet is none of ours: ARP and everything that is not IP always passes. */
static __always_inline int hf_parse(struct __sk_buff* skb, struct hf_packet* packet) {
  __be16 type = skb->protocol;
  __u32 offset = packet->has_ethernet ? ETH_HLEN : 0;
  struct hf_address* source = packet->direction == HF_TO ? &packet->local : &packet->remote;
  struct hf_address* destination = packet->direction == HF_TO ? &packet->remote : &packet->local;

  /* Tags that the device did not take off stand in the data. */
  if (packet->has_ethernet && hf_is_vlan(type)) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      struct hf_vlan_header tag;

      if (!hf_is_vlan(type)) break;
      if (bpf_skb_load_bytes(skb, offset, &tag, sizeof(tag))) return -1;
      type = tag.inner_type;
      offset += sizeof(tag);
    }
  }
  if (type != bpf_htons(ETH_P_IP) && type != bpf_htons(ETH_P_IPV6)) return -1;
  packet->network_offset = offset;
  __u32 minimum =
      offset + (type == bpf_htons(ETH_P_IP) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
  if ((void*)(long)skb->data + minimum > (void*)(long)skb->data_end &&
      bpf_skb_pull_data(skb, minimum))
    return -1;

  void* data = (void*)(long)skb->data;
  void* end = (void*)(long)skb->data_end;
  if (type == bpf_htons(ETH_P_IP)) {
    struct iphdr* ip = data + offset;

    if ((void*)(ip + 1) > end || ip->version != 4 || ip->ihl < 5) return -1;
    hf_map_ipv4(source, ip->saddr);
    hf_map_ipv4(destination, ip->daddr);
    packet->protocol = ip->protocol;
    packet->transport_offset = offset + ip->ihl * 4;
    packet->is_later_fragment = (ip->frag_off & bpf_htons(0x1fff)) != 0;
    if (packet->is_later_fragment) return 0;
  } else {
    struct ipv6hdr* ip = data + offset;

    if ((void*)(ip + 1) > end || ip->version != 6) return -1;
    __builtin_memcpy(source, &ip->saddr, sizeof(*source));
    __builtin_memcpy(destination, &ip->daddr, sizeof(*destination));
    packet->is_ipv6 = 1;
    packet->protocol = ip->nexthdr;
    packet->transport_offset = offset + sizeof(struct ipv6hdr);
    if (hf_is_extension_header(packet->protocol) &&
        hf_walk_extension_headers(skb, packet, packet->protocol)) {
      packet->is_later_fragment = 1;
      return 0;
    }
  }
  hf_read_ports(skb, packet);
  return 0;
}

#endif
