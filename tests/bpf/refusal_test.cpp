// The answers that refuse and unreachable make out of a packet.
#include <numeric>

#include "tests/bpf/rules_fixture.h"

namespace holdfast::agent {
namespace {

constexpr std::size_t kEthernet = 14, kIpv4 = 20, kIpv6 = 40;
// Test runs are on loopback, where an answer is let through in place.
constexpr int kAnswered = kPass;
constexpr std::uint8_t kSyn = 0x02, kRst = 0x04, kPush = 0x08, kAck = 0x10;

// One's complement sum over 16-bit words (RFC 1071); 0xffff over what carries its own checksum.
unsigned sum_of(const Bytes& bytes) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? bytes[i] << 8U : bytes[i];
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >> 16U);
  }
  return sum;
}

Bytes slice(const Bytes& bytes, std::size_t from, std::size_t to) {
  return {bytes.begin() + static_cast<std::ptrdiff_t>(from),
          bytes.begin() + static_cast<std::ptrdiff_t>(to)};
}

unsigned word_at(const Bytes& bytes, std::size_t offset) {
  return static_cast<unsigned>(bytes[offset] << 8U | bytes[offset + 1]);
}

// What the transport's checksum is computed over: pseudo-header and all that follows the IP header.
Bytes with_pseudo_header(const Bytes& packet, bool ipv6, std::uint8_t protocol) {
  const std::size_t addresses = kEthernet + (ipv6 ? 8 : 12);
  const std::size_t transport = kEthernet + (ipv6 ? kIpv6 : kIpv4);
  Bytes summed = slice(packet, addresses, transport);
  test::put16(summed, static_cast<unsigned>(packet.size() - transport));
  test::put16(summed, protocol);
  summed.insert(summed.end(), packet.begin() + static_cast<std::ptrdiff_t>(transport),
                packet.end());
  return summed;
}

struct Ends {
  bool ipv6;
  const char* target;
  const char* peer;
};
constexpr Ends kFamilies[] = {{false, "10.0.0.9", "10.0.0.1"}, {true, "fd00::9", "fd00::1"}};

class Refusals : public Rules {
 protected:
  void refuse(std::uint32_t refusal) {
    RuleSpec rule = rule_of(HF_BLACKHOLE);
    rule.rule.refusal = refusal;
    load({rule});
  }
  test::RunResult send(const Bytes& packet) {
    return run_program(maps_->program_fd(HF_TO, true), packet);
  }
};

Bytes segment(const Ends& ends, std::uint8_t flags, std::size_t payload) {
  Bytes packet = make_packet(ends.target, ends.peer, IPPROTO_TCP, 40000, 80, Bytes(payload, 0x55));
  const std::size_t tcp = kEthernet + (ends.ipv6 ? kIpv6 : kIpv4);
  const Bytes sequence = {0x11, 0x22, 0x33, 0xff}, acknowledged = {0xaa, 0xbb, 0xcc, 0xdd};
  std::copy(sequence.begin(), sequence.end(),
            packet.begin() + static_cast<std::ptrdiff_t>(tcp) + 4);
  std::copy(acknowledged.begin(), acknowledged.end(),
            packet.begin() + static_cast<std::ptrdiff_t>(tcp) + 8);
  packet[tcp + 13] = flags;
  return packet;
}

TEST_F(Refusals, ASynGetsTheResetOfAClosedPort) {
  for (const Ends& ends : kFamilies) {
    refuse(HF_REFUSED);
    const auto answer = send(segment(ends, kSyn, 0));
    ASSERT_EQ(answer.verdict, kAnswered);
    const std::size_t tcp = kEthernet + (ends.ipv6 ? kIpv6 : kIpv4);
    ASSERT_EQ(answer.packet.size(), tcp + 20);
    EXPECT_EQ(word_at(answer.packet, tcp), 80U);
    EXPECT_EQ(word_at(answer.packet, tcp + 2), 40000U);
    EXPECT_EQ(answer.packet[tcp + 13], kRst | kAck);
    EXPECT_EQ(slice(answer.packet, tcp + 4, tcp + 8), Bytes(4, 0));
    EXPECT_EQ(slice(answer.packet, tcp + 8, tcp + 12), (Bytes{0x11, 0x22, 0x34, 0x00}))
        << "the SYN counts as one octet";
    EXPECT_EQ(sum_of(with_pseudo_header(answer.packet, ends.ipv6, IPPROTO_TCP)), 0xffffU);
    EXPECT_EQ(answer.packet[tcp - 1], 9U) << "to the target";
    EXPECT_EQ(counters(0).dropped_packets, 1U);
    EXPECT_EQ(counters(0).answered_packets, 1U);
  }
}

TEST_F(Refusals, DataOfAConnectionGetsAResetThatItsSenderTakes) {
  for (const Ends& ends : kFamilies) {
    refuse(HF_REFUSED);
    const auto answer = send(segment(ends, kAck | kPush, 777));
    ASSERT_EQ(answer.verdict, kAnswered);
    const std::size_t tcp = kEthernet + (ends.ipv6 ? kIpv6 : kIpv4);
    ASSERT_EQ(answer.packet.size(), tcp + 20) << "its data is gone";
    EXPECT_EQ(answer.packet[tcp + 13], kRst);
    EXPECT_EQ(slice(answer.packet, tcp + 4, tcp + 8), (Bytes{0xaa, 0xbb, 0xcc, 0xdd}))
        << "exactly what the sender expects next (RFC 5961, 3.2)";
    EXPECT_EQ(sum_of(with_pseudo_header(answer.packet, ends.ipv6, IPPROTO_TCP)), 0xffffU);
    EXPECT_EQ(word_at(answer.packet, kEthernet + (ends.ipv6 ? 4 : 2)), ends.ipv6 ? 20U : 40U);
  }
}

TEST_F(Refusals, IcmpErrorsQuoteThePacket) {
  for (const Ends& ends : kFamilies) {
    for (const std::uint32_t how : {HF_REFUSED, HF_UNREACHABLE}) {
      refuse(how);
      const Bytes datagram =
          make_packet(ends.target, ends.peer, IPPROTO_UDP, 40000, 53, Bytes(300, 0x55));
      const auto answer = send(datagram);
      ASSERT_EQ(answer.verdict, kAnswered);
      const std::size_t ip = ends.ipv6 ? kIpv6 : kIpv4, icmp = kEthernet + ip;
      ASSERT_EQ(answer.packet.size(), icmp + 8 + ip + 8);
      EXPECT_EQ(answer.packet[icmp], ends.ipv6 ? 1 : 3);
      EXPECT_EQ(answer.packet[icmp + 1],
                how == HF_REFUSED ? (ends.ipv6 ? 4 : 3) : (ends.ipv6 ? 3 : 1));
      EXPECT_EQ(slice(answer.packet, icmp + 8, answer.packet.size()),
                slice(datagram, kEthernet, kEthernet + ip + 8));
      if (ends.ipv6) {
        EXPECT_EQ(answer.packet[kEthernet + 6], IPPROTO_ICMPV6);
        EXPECT_EQ(word_at(answer.packet, kEthernet + 4), 8 + ip + 8);
        EXPECT_EQ(sum_of(with_pseudo_header(answer.packet, true, IPPROTO_ICMPV6)), 0xffffU);
      } else {
        EXPECT_EQ(answer.packet[kEthernet + 9], IPPROTO_ICMP);
        EXPECT_EQ(word_at(answer.packet, kEthernet + 2), ip + 8 + ip + 8);
        EXPECT_EQ(sum_of(slice(answer.packet, kEthernet, icmp)), 0xffffU);
        EXPECT_EQ(sum_of(slice(answer.packet, icmp, answer.packet.size())), 0xffffU);
      }
      EXPECT_EQ(answer.packet[icmp - 1], 9U) << "to the target";
    }
  }
}

// All of its header: the kernel cuts nothing before a checksum that it has still to fill in.
TEST_F(Refusals, OfTcpTheWholeHeaderIsQuoted) {
  for (const Ends& ends : kFamilies) {
    refuse(HF_UNREACHABLE);
    const Bytes syn = segment(ends, kSyn, 100);
    const auto answer = send(syn);
    ASSERT_EQ(answer.verdict, kAnswered);
    const std::size_t ip = ends.ipv6 ? kIpv6 : kIpv4, icmp = kEthernet + ip;
    ASSERT_EQ(answer.packet.size(), icmp + 8 + ip + 20);
    EXPECT_EQ(slice(answer.packet, icmp + 8, answer.packet.size()),
              slice(syn, kEthernet, kEthernet + ip + 20));
    EXPECT_EQ(sum_of(ends.ipv6 ? with_pseudo_header(answer.packet, true, IPPROTO_ICMPV6)
                               : slice(answer.packet, icmp, answer.packet.size())),
              0xffffU);
  }
}

TEST_F(Refusals, ThePeerIsToldOfWhatItSent) {
  refuse(HF_REFUSED);
  const auto answer = run_program(maps_->program_fd(HF_FROM, true),
                                  make_packet("10.0.0.1", "10.0.0.9", IPPROTO_TCP, 40000, 80));
  EXPECT_EQ(answer.verdict, kAnswered);
  EXPECT_EQ(answer.packet[kEthernet + kIpv4 - 1], 1U);
}

// A refusal that met the rule again would be refused in turn, without an end.
TEST_F(Refusals, RefusalsPassAndAreNotCounted) {
  for (const Ends& ends : kFamilies) {
    refuse(HF_UNREACHABLE);
    EXPECT_EQ(send(segment(ends, kRst | kAck, 0)).verdict, kPass);
    Bytes error = make_packet(ends.target, ends.peer, IPPROTO_UDP, 0, 0, Bytes(40));
    error[kEthernet + (ends.ipv6 ? 6 : 9)] = ends.ipv6 ? 58 : 1;  // ICMPv6, ICMP
    error[kEthernet + (ends.ipv6 ? kIpv6 : kIpv4)] = ends.ipv6 ? 1 : 3;
    EXPECT_EQ(send(error).verdict, kPass);
    EXPECT_EQ(counters(0).matched_packets, 0U);
  }
}

TEST_F(Refusals, WhatHasNoAnswerIsDropped) {
  refuse(HF_REFUSED);
  const auto silent = [&](const Bytes& packet) {
    const auto result = send(packet);
    return result.verdict == kRedirect && result.packet == packet;
  };
  EXPECT_TRUE(silent(make_packet("10.0.0.9", "224.0.0.1", IPPROTO_UDP, 40000, 53)));
  EXPECT_TRUE(silent(make_packet("fd00::9", "ff02::1", IPPROTO_UDP, 40000, 53)));
  Bytes fragment = make_packet("10.0.0.9", "10.0.0.1", IPPROTO_UDP, 40000, 53);
  fragment[kEthernet + 7] = 1;  // its offset
  EXPECT_TRUE(silent(fragment));
  EXPECT_EQ(counters(0).answered_packets, 0U);
  EXPECT_EQ(counters(0).dropped_packets, 3U);
}

// Of several rules the first one that drops the packet answers; a plain blackhole answers nothing.
TEST_F(Refusals, TheFirstOfSeveralDecides) {
  RuleSpec refused = rule_of(HF_BLACKHOLE), plain = rule_of(HF_BLACKHOLE);
  refused.rule.refusal = HF_REFUSED;
  load({refused, plain});
  const Bytes syn = segment(kFamilies[0], kSyn, 0);
  EXPECT_NE(send(syn).packet, syn);
  EXPECT_EQ(counters(0).answered_packets, 1U);
  EXPECT_EQ(counters(1).dropped_packets, 1U);
  load({plain, refused});
  EXPECT_EQ(send(syn).packet, syn);
  EXPECT_EQ(counters(1).answered_packets, 0U);
}

}  // namespace
}  // namespace holdfast::agent
