// Packets for BPF_PROG_TEST_RUN, and the run itself.
#pragma once

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/pkt_cls.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace holdfast::test {

using Bytes = std::vector<std::uint8_t>;

inline void put16(Bytes& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

// Ethernet, IPv4 or IPv6 by the form of the addresses, and UDP or TCP with `payload`.
inline Bytes make_packet(const std::string& source, const std::string& destination, int protocol,
                         unsigned source_port, unsigned destination_port,
                         const Bytes& payload = Bytes(8)) {
  const bool ipv6 = source.find(':') != std::string::npos;
  Bytes transport;
  put16(transport, source_port);
  put16(transport, destination_port);
  if (protocol == IPPROTO_UDP) {
    put16(transport, static_cast<unsigned>(8 + payload.size()));
    put16(transport, 0);
  } else {
    transport.resize(20);
    transport[12] = 0x50;
  }
  transport.insert(transport.end(), payload.begin(), payload.end());
  Bytes packet(12, 0x02);
  put16(packet, ipv6 ? 0x86dd : 0x0800);
  if (ipv6) {
    packet.insert(packet.end(), {0x60, 0, 0, 0});
    put16(packet, static_cast<unsigned>(transport.size()));
    packet.push_back(static_cast<std::uint8_t>(protocol));
    packet.push_back(64);
  } else {
    packet.insert(packet.end(), {0x45, 0});
    put16(packet, static_cast<unsigned>(20 + transport.size()));
    packet.insert(packet.end(), {0, 0, 0, 0, 64, static_cast<std::uint8_t>(protocol), 0, 0});
  }
  for (const std::string& address : {source, destination}) {
    Bytes raw(ipv6 ? 16 : 4);
    inet_pton(ipv6 ? AF_INET6 : AF_INET, address.c_str(), raw.data());
    packet.insert(packet.end(), raw.begin(), raw.end());
  }
  packet.insert(packet.end(), transport.begin(), transport.end());
  return packet;
}

struct RunResult {
  int verdict = 0;
  Bytes packet;
};

inline RunResult run_program(int program, const Bytes& packet, int repeat = 1) {
  RunResult result;
  result.packet.resize(packet.size() + 256);
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(),
              .data_out = result.packet.data(), .data_size_in = static_cast<__u32>(packet.size()),
              .data_size_out = static_cast<__u32>(result.packet.size()), .repeat = repeat);
  if (bpf_prog_test_run_opts(program, &options) != 0) {
    result.verdict = -1000;
    return result;
  }
  result.packet.resize(options.data_size_out);
  result.verdict = static_cast<int>(options.retval);
  return result;
}

}  // namespace holdfast::test
