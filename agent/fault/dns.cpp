#include "agent/fault/dns.h"

#include <fmt/format.h>

namespace holdfast::agent {
namespace {

hf_dns_response to_abi(plan::DnsResponse response) {
  switch (response) {
    case plan::DnsResponse::nxdomain:
      return HF_DNS_NXDOMAIN;
    case plan::DnsResponse::servfail:
      return HF_DNS_SERVFAIL;
    case plan::DnsResponse::refused:
      return HF_DNS_REFUSED;
    case plan::DnsResponse::timeout:
      return HF_DNS_TIMEOUT;
  }
  return HF_DNS_TIMEOUT;
}

CompiledFault compile(const plan::FaultParameters& parameters) {
  CompiledFault fault;
  fault.rule.kind = HF_DNS;
  fault.rule.dns_response = static_cast<__u32>(to_abi(parameters.dns.response));
  for (const std::string& name : parameters.dns.names) {
    fault.names.push_back({name, false});
  }
  for (const std::string& zone : parameters.dns.zones) {
    fault.names.push_back({zone, true});
  }
  return fault;
}

std::string proof(const Counters& counters) {
  if (counters.matched_packets == 0) {
    return "no query for these names matched";
  }
  return counters.answered_packets > 0
             ? fmt::format("{} of {} matched queries answered in the kernel",
                           counters.answered_packets, counters.matched_packets)
             : fmt::format("{} of {} matched queries dropped", counters.dropped_packets,
                           counters.matched_packets);
}

}  // namespace

FaultType dns_fault() {
  return {
      .kind = plan::FaultKind::dns,
      .compile = compile,
      .proven =
          [](const Counters& counters) {
            return counters.answered_packets + counters.dropped_packets > 0;
          },
      .proof = proof,
  };
}

}  // namespace holdfast::agent
