/* What the BPF programs and the agent share: the rule table's layout and its limits.
 *
 * Included by C (clang -target bpf) and by C++. Only fixed widths, padding written out, sizes
 * asserted below: one side compiled against another version of this file would read garbage in the
 * kernel's hot path.
 *
 * A rule is one bit in a bitmap. Every match dimension (address, ports, protocol, …) is looked up
 * once per packet and yields the bitmap of the rules that it admits; what is left of their AND are
 * the rules that the packet matches. The cost of a packet therefore does not depend on how many
 * rules or addresses there are. */
#ifndef HOLDFAST_ABI_H
#define HOLDFAST_ABI_H

#include <linux/types.h>

#define HF_WORDS 4
#define HF_MAX_RULES (HF_WORDS * 64)
#define HF_MAX_PROTECTED 32
#define HF_PORTS 65536
/* Connections that were opened since the start: the oldest are forgotten beyond. */
#define HF_NEW_FLOWS 65536
/* Reversed wire name (RFC 1035, 3.1): at most 255 octets, rounded up to what an LPM trie takes at
 * most. */
#define HF_NAME_BYTES 256

struct hf_bits {
  __u64 word[HF_WORDS];
};

/* Seen from the target: TO are packets that leave it (egress), FROM are those that arrive
 * (ingress). */
enum hf_direction { HF_TO = 0, HF_FROM = 1, HF_DIRECTIONS = 2 };

/* Stages of composition, in the order in which they are applied. */
enum hf_kind {
  HF_NOOP = 0,
  HF_BLACKHOLE = 1,
  HF_LOSS = 2,
  HF_DNS = 3,
  HF_CORRUPT = 4,
  HF_DUPLICATE = 5,
  HF_REORDER = 6, /* what is hit is late, and overtaken */
  HF_LATENCY = 7,
  HF_BANDWIDTH = 8,
  HF_KINDS = 9
};

/* Classes that a rule's protocol restriction can tell apart. */
enum hf_protocol { HF_TCP = 0, HF_UDP = 1, HF_ICMP = 2, HF_OTHER = 3, HF_PROTOCOLS = 4 };

enum hf_dns_response {
  HF_DNS_TIMEOUT = 0, /* the query is dropped; all others are an RCODE (RFC 1035, 4.1.1) + 0 */
  HF_DNS_SERVFAIL = 2,
  HF_DNS_NXDOMAIN = 3,
  HF_DNS_REFUSED = 5,
};

/* Which packets HF_LOSS, HF_CORRUPT, HF_DUPLICATE and HF_REORDER hit. */
enum hf_draw_how {
  HF_DRAW_RANDOM = 0, /* each packet on its own */
  HF_DRAW_CHAIN = 1,  /* Gilbert-Elliott: two states, each with a probability of its own */
  HF_DRAW_EVERY = 2,  /* each n-th */
};

/* What the sender of a packet that a blackhole swallows is told. */
enum hf_refusal {
  HF_SILENCE = 0,
  HF_REFUSED = 1,     /* TCP: a reset, UDP: ICMP port unreachable; as from a closed port */
  HF_UNREACHABLE = 2, /* ICMP host unreachable; as from the last router */
};

/* Which packets of TCP a rule is about. */
enum hf_connections {
  HF_ALL_CONNECTIONS = 0,
  HF_NEW_CONNECTIONS = 1,      /* with SYN: those that open one, and what answers them */
  HF_EXISTING_CONNECTIONS = 2, /* of connections whose SYN was not seen since the start */
};

/* A probability is a threshold: it happens where a random 32-bit number is below; 1 << 32 is
 * always. */
struct hf_rule {
  __u64 deadline_ns; /* CLOCK_MONOTONIC; from then on the rule is dead, whatever the agent does */
  __u64 draw_threshold;              /* of a chain: in its good state */
  __u32 kind;                        /* enum hf_kind */
  __u32 dns_response;                /* HF_DNS: enum hf_dns_response */
  __u32 draw_how;                    /* enum hf_draw_how */
  __u32 draw_every;                  /* HF_DRAW_EVERY: 1 or more */
  __u32 refusal;                     /* HF_BLACKHOLE: enum hf_refusal */
  __u32 connections;                 /* enum hf_connections */
  __u32 leave_checksum;              /* HF_CORRUPT: as it was, so that it is wrong */
  __u32 flow_seed;                   /* which flows: differs from rule to rule */
  __u64 chain_to_bad, chain_to_good; /* HF_DRAW_CHAIN: after each packet */
  __u64 chain_threshold_in_bad;
  __u64 flow_threshold; /* share of the flows that are matched; 0 is all of them */
  /* Matched only in the first part of each period since the start; a period of 0 is always. */
  __u64 pulse_start_ns; /* CLOCK_MONOTONIC */
  __u64 pulse_period_ns, pulse_active_ns;
};

/* What a draw that is no random one remembers, for each rule and direction (index rule *
 * HF_DIRECTIONS + direction). CPUs share it: a burst is of the link, not of the CPU. Updates that
 * meet lose one transition, which is as random as the rest. */
struct hf_draw_state {
  __u64 packets; /* so far */
  __u32 bad;     /* the chain's state */
  __u32 hit;     /* whether the last packet was */
  __u64 pad[6];  /* a cache line each */
};

/* One endpoint that no rule can hit: traffic to or from address:port, whichever side the endpoint
 * is on. */
struct hf_protected {
  __u8 address[16]; /* IPv4-mapped for IPv4; ignored where any_address */
  __u16 port;       /* host byte order; 0 is every port */
  __u8 protocol;    /* IPPROTO_*; 0 is every protocol */
  __u8 any_address;
  __u8 local_only; /* only as the target's own port (an sshd that runs here) */
  __u8 pad[3];
};

/* One page set that the agent maps and writes in place. A rule exists from the moment its bit is
 * set in `active`, which is written last, until it is cleared, which is written first. */
struct hf_control {
  __u64 lease_deadline_ns; /* CLOCK_MONOTONIC; from then on nothing is injected */
  /* CLOCK_MONOTONIC; from then on nothing is handed to the delay line, which keeps this ahead for
   * as long as it works. */
  __u64 line_deadline_ns;
  __u32 line_ifindex; /* of its TAP; 0: there is none */
  __u32 zero;         /* never anything else */
  struct hf_bits active[HF_DIRECTIONS];
  struct hf_bits any_address;     /* rules that do not restrict the peer's address */
  struct hf_bits any_remote_port; /* … its port; the same for the others */
  struct hf_bits any_local_port;
  struct hf_bits any_interface;
  struct hf_bits protocol[HF_PROTOCOLS]; /* rules that admit this class */
  struct hf_bits of_kind[HF_KINDS];
  struct hf_protected protected_endpoints[HF_MAX_PROTECTED];
  struct hf_rule rules[HF_MAX_RULES];
};

/* What never changes while the programs are loaded. The verifier knows these values, so that code
 * which a table has no use for is neither checked nor run. */
struct hf_config {
  __u32 rules; /* how many there are */
  __u32 words; /* of each bitmap, that rules are in: 1 to HF_WORDS */
  __u32 kinds; /* bit n: there are rules of kind n */
  __u32 protected_count;
  __u8 use_prefixes; /* whether the dimension has any entry; else it admits what the any_ bits do */
  __u8 use_addresses;
  __u8 use_remote_ports;
  __u8 use_local_ports;
  __u8 use_interfaces;
  __u8 use_protocols;
  __u8 use_draw_state; /* some rule remembers what it hit */
  __u8 use_syn;        /* some rule is about new connections */
  __u8 use_existing;   /* … about existing ones */
  __u8 use_flows;      /* … about a share of the flows */
  __u8 use_pulses;     /* … comes and goes */
  __u8 use_refusals;   /* … tells the sender */
  __u8 use_line;       /* … hands packets to the delay line */
  __u8 pad[3];
};

/* What stands in front of a packet on its way through the delay line: into the TAP as the programs
 * at the interface write it, out of it again unchanged, so that whoever holds the packet in between
 * has nothing to rewrite. It begins as an Ethernet header does, which is what a TAP carries. */
#define HF_VLAN_TAGS 2
struct hf_vlan_tag {
  __be16 protocol; /* ETH_P_8021Q or ETH_P_8021AD; 0: no such tag */
  __u16 control;   /* host byte order */
};
struct hf_parcel {
  __u8 destination[6], source[6]; /* zeros */
  __be16 type;                    /* of the packet: ETH_P_IP or ETH_P_IPV6 */
  __u8 direction;                 /* enum hf_direction */
  __u8 has_ethernet;              /* an Ethernet header follows, else the IP header */
  struct hf_bits rules;           /* those that the line has to do for it */
  __u64
      arrived_ns; /* CLOCK_MONOTONIC, or when its sender meant it to leave (EDT) if that is later */
  __u64 flow;     /* hash of the connection, the same in both directions */
  __u32 ifindex;  /* where it goes on */
  __u32 mark, priority;
  struct hf_vlan_tag tags[HF_VLAN_TAGS]; /* the outer first */
  __u32 copies;                          /* to be made of it (HF_DUPLICATE) */
};

/* Written by the programs alone, once a tick, hence on a cache line of its own. */
struct hf_clock {
  __u64 tick;  /* jiffies */
  __u64 now;   /* ns, CLOCK_MONOTONIC as the coarse clock has it */
  __u64 check; /* tick ^ now: whether the two belong together */
  __u64 pad[5];
};

struct hf_address {
  __u8 byte[16]; /* network order, IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2) */
};

struct hf_prefix_key {
  __u32 prefix_length; /* bits */
  struct hf_address address;
};

/* Key of the name trie: the wire name, lower-cased and reversed, so that a zone is a prefix of the
 * names below it and the length octets keep "example.com" from matching "badexample.com". */
struct hf_name_key {
  __u32 prefix_length; /* bits */
  __u8 reversed[HF_NAME_BYTES];
};

struct hf_name_value {
  struct hf_bits
      zone; /* rules for this name and everything below; includes those of all enclosing zones */
  struct hf_bits exact; /* rules for this very name */
  __u32 length; /* of this entry's name in octets, to tell an exact hit from a longer name */
  __u32 pad;
};

/* Per CPU and rule. Packets are counted as the kernel hands them over: one GSO frame is one packet.
 */
struct hf_counters {
  __u64 matched_packets, matched_bytes;
  __u64 dropped_packets, dropped_bytes;
  union {
    __u64 answered_packets; /* DNS queries; and what a blackhole refused, beside dropping it */
    __u64 altered_packets;  /* HF_CORRUPT and HF_DUPLICATE: those that were, by the programs */
  };
  __u64 spared_packets; /* matched, but to or from a protected endpoint: let through */
  __u64 random;         /* where this CPU's random numbers for the rule are; 0: not begun */
  union {
    __u64 bursts;            /* HF_LOSS: of lost packets, where the loss remembers */
    __u64 undelayed_packets; /* meant for the line, which could not take them: let through */
  };
}; /* a cache line in all */

#ifdef __cplusplus
#define HF_ASSERT static_assert
#else
#define HF_ASSERT _Static_assert
#endif
HF_ASSERT(sizeof(struct hf_bits) == 32, "hf_bits");
HF_ASSERT(sizeof(struct hf_rule) == 104, "hf_rule");
HF_ASSERT(sizeof(struct hf_draw_state) == 64, "hf_draw_state");
HF_ASSERT(sizeof(struct hf_config) == 32, "hf_config");
HF_ASSERT(sizeof(struct hf_parcel) == 88, "hf_parcel");
HF_ASSERT(sizeof(struct hf_clock) == 64, "hf_clock");
HF_ASSERT(sizeof(struct hf_protected) == 24, "hf_protected");
HF_ASSERT(sizeof(struct hf_address) == 16, "hf_address");
HF_ASSERT(sizeof(struct hf_prefix_key) == 20, "hf_prefix_key");
HF_ASSERT(sizeof(struct hf_name_key) == 4 + HF_NAME_BYTES, "hf_name_key");
HF_ASSERT(sizeof(struct hf_name_value) == 72, "hf_name_value");
HF_ASSERT(sizeof(struct hf_counters) == 64, "hf_counters");
HF_ASSERT(sizeof(struct hf_control) ==
              24 + 32 * (2 + 4 + 4 + 9) + 24 * HF_MAX_PROTECTED + 104 * HF_MAX_RULES,
          "hf_control");

#endif
