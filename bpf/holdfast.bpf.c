/* The data path: four programs, one body; and the one that takes packets back from the delay line.
 * One pair for devices with an Ethernet header, one for those that carry bare IP (tun, WireGuard,
 * …), so that no packet pays for the difference. tcx and clsact take the same programs. */
#include "apply.bpf.h"

static __always_inline int hf_process(struct __sk_buff* skb, __u8 direction, __u8 has_ethernet) {
  struct hf_bits bits;
  struct hf_packet packet = {.direction = direction, .has_ethernet = has_ethernet};

  if ((config.use_line || hf_has_kind(HF_DUPLICATE)) && hf_is_done(skb, direction)) return HF_NEXT;
  hf_copy(&bits, &control.active[direction]);
  if (hf_none(&bits) || hf_parse(skb, &packet)) return HF_NEXT;
  hf_match(skb, &packet, &bits);
  if (hf_none(&bits)) return HF_NEXT;
  return hf_apply(skb, &packet, &bits);
}

SEC("tc")
int hf_egress(struct __sk_buff* skb) { return hf_process(skb, HF_TO, 1); }

SEC("tc")
int hf_ingress(struct __sk_buff* skb) { return hf_process(skb, HF_FROM, 1); }

SEC("tc")
int hf_egress_ip(struct __sk_buff* skb) { return hf_process(skb, HF_TO, 0); }

SEC("tc")
int hf_ingress_ip(struct __sk_buff* skb) { return hf_process(skb, HF_FROM, 0); }

/* At the ingress of the delay line's TAP. */
SEC("tc")
int hf_delayed(struct __sk_buff* skb) { return hf_take_from_line(skb); }

/* Helpers such as bpf_ktime_get_coarse_ns are open to every licence; this one is what the kernel
 * asks for the rest. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
