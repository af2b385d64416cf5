// What is done to packets on their way, between two network namespaces: doubled, corrupted,
// overtaken, sent over a slower link.
#include <fstream>
#include <sstream>

#include "tests/bpf/delay_fixture.h"

namespace holdfast::agent {
namespace {

RuleSpec each_nth(std::uint32_t kind, std::uint32_t n) {
  RuleSpec rule = rule_of(kind);
  rule.rule.draw_how = HF_DRAW_EVERY;
  rule.rule.draw_every = n;
  return rule;
}

RuleSpec corruption(std::uint32_t n) {
  RuleSpec rule = each_nth(HF_CORRUPT, n);
  rule.rule.leave_checksum = 1;
  rule.line = plan::CorruptParams{};
  return rule;
}

class Alter : public Delay {
 protected:
  // UDP each way over the cable; as many as arrive until one that is the last does.
  std::vector<std::uint32_t> numbers(Stream& stream, std::size_t sent, std::size_t expected) {
    for (std::size_t i = 0; i < sent; ++i) {
      stream.send();
    }
    std::vector<std::uint32_t> arrived;
    for (const Arrival& one : stream.receive(expected)) {
      arrived.push_back(one.number);
    }
    return arrived;
  }
  Stream out(bool v6 = false) {
    return v6 ? Stream(near(), kNearAddress6, far(), kFarAddress6)
              : Stream(near(), kNearAddress, far(), kFarAddress);
  }
  Stream back() { return {far(), kFarAddress, near(), kNearAddress}; }
};

TEST_F(Alter, ADoubledPacketArrivesTwice) {
  ASSERT_NO_FATAL_FAILURE(inject({each_nth(HF_DUPLICATE, 2)}, plan::Direction::both));
  for (const bool v6 : {false, true}) {
    Stream stream = out(v6);
    const std::uint64_t before = counters().altered_packets;
    std::vector<std::uint32_t> arrived = numbers(stream, 10, 15);
    EXPECT_EQ(counters().altered_packets - before, 5U);
    std::ranges::sort(arrived);
    for (std::uint32_t i = 0; i < 10; ++i) {
      EXPECT_EQ(std::ranges::count(arrived, i), i % 2 == 0 ? 1 : 2) << i;
    }
  }
  Stream stream = back();
  EXPECT_EQ(numbers(stream, 10, 15).size(), 15U);
  EXPECT_EQ(counters().altered_packets, 15U);
  EXPECT_EQ(counters().matched_packets, 30U);
}

// The same packets leave and arrive there, and each end acts for itself.
TEST_F(Alter, ADoubledPacketArrivesTwiceOverLoopback) {
  run(near(), {"ip", "link", "set", "lo", "up"});
  for (const std::string address : {"127.0.0.1", "::1"}) {
    for (const auto& [direction, times] : {std::pair{plan::Direction::to, 2U},
                                           {plan::Direction::from, 2U},
                                           {plan::Direction::both, 4U}}) {
      ASSERT_NO_FATAL_FAILURE(inject({each_nth(HF_DUPLICATE, 1)}, direction, "lo"));
      Stream stream(near(), address, near(), address);
      EXPECT_EQ(numbers(stream, 5, 5 * times).size(), 5 * times);
      ASSERT_TRUE(path_->detach());
    }
  }
}

TEST_F(Alter, ADoubledPacketIsDelayedAsItsOriginal) {
  RuleSpec latency = rule_of(HF_LATENCY);
  latency.line = fixed(20ms);
  ASSERT_NO_FATAL_FAILURE(inject({each_nth(HF_DUPLICATE, 1), latency}));
  Stream stream = out();
  stream.send();
  EXPECT_GE(shortest(stream.receive(2)), 20ms);
  EXPECT_EQ(delays(1).packets, 2U);
}

TEST_F(Alter, TcpSurvivesDoubledPackets) {
  ASSERT_NO_FATAL_FAILURE(inject({each_nth(HF_DUPLICATE, 3)}, plan::Direction::both));
  EXPECT_TRUE(tcp_carries(kNearAddress, kFarAddress, 4 << 20));
  EXPECT_GT(counters().altered_packets, 0U);
}

TEST_F(Alter, WhatIsKeptBackIsOvertaken) {
  RuleSpec reorder = each_nth(HF_REORDER, 4);
  reorder.line = plan::ReorderParams{.delay = 1s};
  ASSERT_NO_FATAL_FAILURE(inject({reorder}));
  Stream stream = out();
  EXPECT_EQ(numbers(stream, 8, 8), (std::vector<std::uint32_t>{0, 1, 2, 4, 5, 6, 3, 7}));
  EXPECT_EQ(counters().matched_packets, 8U);
  EXPECT_EQ(delays().packets, 2U);
  EXPECT_GE(delays().least, 1s);
}

// Receivers throw away what has a wrong checksum, and count it.
TEST_F(Alter, AWrongChecksumIsNoticed) {
  const auto wrong_so_far = [&] {
    std::uint64_t wrong = 0;
    auto read = far().run([&]() -> Result<void> {
      std::ifstream file("/proc/thread-self/net/snmp");
      std::string line, names;
      while (std::getline(file, line)) {
        std::istringstream heads(names), values(line);
        std::string head, value;
        while (line.starts_with("Udp:") && names.starts_with("Udp:") && heads >> head &&
               values >> value) {
          wrong += head == "InCsumErrors" ? std::stoull(value) : 0;
        }
        names = line;
      }
      return {};
    });
    EXPECT_TRUE(read) << (read ? "" : read.error().message);
    return wrong;
  };
  ASSERT_NO_FATAL_FAILURE(inject({corruption(2)}));
  Stream stream = out();
  const std::vector<std::uint32_t> arrived = numbers(stream, 20, 10);
  for (const std::uint32_t number : arrived) {
    EXPECT_EQ(number % 2, 0U);
  }
  const auto patience = Clock::now() + kPatience;
  while (path_->delays(0).corrupted < 10 && Clock::now() < patience) {
    std::this_thread::yield();
  }
  EXPECT_EQ(path_->delays(0).corrupted, 10U);
  // They are summed up when they are asked for. A bit of the ports or the length makes it another's
  // packet, or none, before that.
  while (wrong_so_far() == 0 && Clock::now() < patience) {
    char octet = 0;
    EXPECT_LT(::recv(stream.receiver(), &octet, sizeof(octet), MSG_DONTWAIT), 0);
  }
  EXPECT_GT(wrong_so_far(), 0U);
}

TEST_F(Alter, TcpMendsWhatIsCorrupted) {
  ASSERT_NO_FATAL_FAILURE(inject({corruption(20)}, plan::Direction::both));
  for (const auto& [own, peer] :
       {std::pair{kNearAddress, kFarAddress}, {kNearAddress6, kFarAddress6}}) {
    EXPECT_TRUE(tcp_carries(own, peer, 2 << 20));
  }
  EXPECT_GT(path_->delays(0).corrupted, 0U);
}

TEST_F(Alter, AMendedChecksumLetsItThrough) {
  ASSERT_NO_FATAL_FAILURE(inject({each_nth(HF_CORRUPT, 1)}));
  const UniqueFd receiver = open_socket(far(), SOCK_DGRAM, kFarAddress);
  const UniqueFd sender = open_socket(near(), SOCK_DGRAM, kNearAddress, kFarAddress);
  const std::vector<char> zeros(500);
  ASSERT_EQ(::send(sender.get(), zeros.data(), zeros.size(), 0), 500);
  std::vector<unsigned char> arrived(600);
  ASSERT_TRUE(readable(receiver));
  ASSERT_EQ(::recv(receiver.get(), arrived.data(), arrived.size(), 0), 500);
  int bits = 0;
  for (const unsigned char octet : arrived) {
    bits += __builtin_popcount(octet);
  }
  EXPECT_EQ(bits, 1);
  EXPECT_EQ(counters().altered_packets, 1U);
}

RuleSpec link_of(double bits_per_second, std::uint64_t queue) {
  plan::BandwidthParams params;
  params.bits_per_second = bits_per_second;
  params.queue = queue;
  RuleSpec rule = rule_of(HF_BANDWIDTH);
  rule.line = params;
  return rule;
}

TEST_F(Alter, TcpTakesTheTimeThatTheLinkNeeds) {
  constexpr std::size_t kBytes = 1 << 20;
  for (const auto& [own, peer] :
       {std::pair{kNearAddress, kFarAddress}, {kNearAddress6, kFarAddress6}}) {
    ASSERT_NO_FATAL_FAILURE(inject({link_of(20e6, 256 << 10)}));
    const auto began = Clock::now();
    EXPECT_TRUE(tcp_carries(own, peer, kBytes));
    EXPECT_GE(std::chrono::duration<double>(Clock::now() - began).count(), kBytes * 8 / 20e6);
    EXPECT_NEAR(path_->delays(0).bits_per_second, 20e6, 10e6);  // how near: scripts/bench
    EXPECT_GT(path_->delays(0).queued, 0U);
    ASSERT_TRUE(path_->detach());
  }
}

TEST_F(Alter, TheLowestRateWins) {
  ASSERT_NO_FATAL_FAILURE(inject({link_of(100e6, 1 << 20), link_of(10e6, 256 << 10)}));
  const auto began = Clock::now();
  EXPECT_TRUE(tcp_carries(kNearAddress, kFarAddress, 1 << 19));
  EXPECT_GE(std::chrono::duration<double>(Clock::now() - began).count(), (1 << 19) * 8 / 10e6);
}

TEST_F(Alter, WhatFindsTheQueueFullIsDropped) {
  ASSERT_NO_FATAL_FAILURE(inject({link_of(1e5, 2000)}));
  Stream stream = out();
  for (int i = 0; i < 50; ++i) {
    stream.send(1000);
  }
  ASSERT_TRUE(path_->detach());
  EXPECT_GT(path_->delays(0).dropped_packets, 30U);
  EXPECT_EQ(path_->delays(0).dropped_packets + delays().packets, 50U);
}

// Checksums that are whole, as on a wire, by BPF_PROG_TEST_RUN.
TEST_F(Rules, CorruptionThatIsMendedChangesOneBitOfThePayload) {
  load({rule_of(HF_CORRUPT)});
  for (const int protocol : {IPPROTO_TCP, IPPROTO_UDP}) {
    RuleSpec rule = each_nth(HF_CORRUPT, 1);
    load({rule});
    const std::size_t transport = 14 + 20;
    const std::size_t payload = transport + (protocol == IPPROTO_TCP ? 20 : 8);
    const std::size_t field = transport + (protocol == IPPROTO_TCP ? 16 : 6);
    const Bytes packet =
        make_packet("10.0.0.9", "10.0.0.1", protocol, 40000, 443, Bytes(101, 0x55));
    const auto sum_of = [&](const Bytes& bytes) {  // without the pseudo-header, which stays
      std::uint32_t sum = 0;
      for (std::size_t i = transport; i < bytes.size(); ++i) {
        sum += static_cast<std::uint32_t>(bytes[i]) << ((i - transport) % 2 == 0 ? 8 : 0);
      }
      while (sum > 0xffff) {
        sum = (sum & 0xffff) + (sum >> 16);
      }
      return sum;
    };
    for (int i = 0; i < 200; ++i) {
      Bytes sent = packet;
      sent[field] = static_cast<std::uint8_t>(i + 1);
      const Bytes got = run_program(maps_->program_fd(HF_TO, true), sent).packet;
      ASSERT_EQ(got.size(), sent.size());
      int bits = 0;
      for (std::size_t at = 0; at < got.size(); ++at) {
        if (at != field && at != field + 1) {
          const int changed = __builtin_popcount(static_cast<unsigned>(got[at] ^ sent[at]));
          EXPECT_TRUE(changed == 0 || at >= payload);
          bits += changed;
        }
      }
      EXPECT_EQ(bits, 1);
      EXPECT_EQ(sum_of(got), sum_of(sent));
    }
    EXPECT_EQ(counters(0).altered_packets, 200U);
  }
  // Nothing to change, or no checksum to mend.
  load({each_nth(HF_CORRUPT, 1)});
  const Bytes bare = make_packet("10.0.0.9", "10.0.0.1", IPPROTO_TCP, 40000, 443, {});
  EXPECT_EQ(run_program(maps_->program_fd(HF_TO, true), bare).packet, bare);
  const Bytes sctp = make_packet("10.0.0.9", "10.0.0.1", IPPROTO_SCTP, 40000, 443);
  EXPECT_EQ(run_program(maps_->program_fd(HF_TO, true), sctp).packet, sctp);
  EXPECT_EQ(counters(0).matched_packets, 2U);
  EXPECT_EQ(counters(0).altered_packets, 0U);
}

}  // namespace
}  // namespace holdfast::agent
