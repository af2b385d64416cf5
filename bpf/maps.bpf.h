/* Maps of the data path. Sizes that a plan decides are set by the agent before it loads the object.
 */
#ifndef HOLDFAST_MAPS_BPF_H
#define HOLDFAST_MAPS_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "holdfast_abi.h"

/* In .rodata. Volatile: the compiler must not take the zeros for the values. */
const volatile struct hf_config config;

/* In .bss: read without a helper call, mapped by the agent. */
struct hf_control control;

struct hf_clock tick_clock __attribute__((aligned(64)));

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1024);
  __type(key, struct hf_address);
  __type(value, struct hf_bits);
} addresses SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1024);
  __type(key, struct hf_prefix_key);
  __type(value, struct hf_bits);
} prefixes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, HF_PORTS);
  __type(key, __u32);
  __type(value, struct hf_bits);
} remote_ports SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, HF_PORTS);
  __type(key, __u32);
  __type(value, struct hf_bits);
} local_ports SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, __u32); /* ifindex */
  __type(value, struct hf_bits);
} interfaces SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1024);
  __type(key, struct hf_name_key);
  __type(value, struct hf_name_value);
} names SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, HF_MAX_RULES* HF_DIRECTIONS);
  __type(key, __u32);
  __type(value, struct hf_draw_state);
} draw_states SEC(".maps");

/* Connections that were opened since the start, by their hash; where rules are about the others. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, HF_NEW_FLOWS);
  __type(key, __u64);
  __type(value, __u32);
} new_flows SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, HF_MAX_RULES);
  __type(key, __u32);
  __type(value, struct hf_counters);
} counters SEC(".maps");

#endif
