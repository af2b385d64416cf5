// Every form of packet through the delay line: unsegmented, tagged, without Ethernet, in fragments.
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/udp.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <array>

#include "tests/bpf/delay_fixture.h"

namespace holdfast::agent {
namespace {

// Frames that the device would cut up, and checksums that it would compute, both ways.
TEST_F(Delay, TcpCarriesEveryByte) {
  constexpr std::size_t kBytes = 32 << 20;
  for (const auto& [near_address, far_address] :
       {std::pair{kNearAddress, kFarAddress}, {kNearAddress6, kFarAddress6}}) {
    ASSERT_NO_FATAL_FAILURE(delay({fixed(2ms)}, plan::Direction::both));
    EXPECT_TRUE(tcp_carries(near_address, far_address, kBytes));
    ASSERT_TRUE(path_->detach());  // the last acknowledgements are still under way
    // A machine that stands still for longer than the heartbeat lets some through.
    EXPECT_EQ(counters().matched_packets, delays().packets + counters().undelayed_packets);
    EXPECT_GT(delays().packets, counters().undelayed_packets);
    // Unsegmented: far fewer packets than a wire would have carried.
    EXPECT_LT(counters().matched_packets, 2 * kBytes / 1448);
  }
}

TEST_F(Delay, JumboFrames) {
  for (const kernel::NetNamespace* end : {&near(), &far()}) {
    ASSERT_NO_FATAL_FAILURE(run(*end, {"ip", "link", "set", kCable, "mtu", "9000"}));
  }
  ASSERT_NO_FATAL_FAILURE(delay({fixed(10ms)}));
  Stream stream(near(), kNearAddress, far(), kFarAddress);
  stream.send(8000);
  EXPECT_GE(shortest(stream.receive(1)), 10ms);
}

// In several fragments, only the first of which has ports.
TEST_F(Delay, Fragments) {
  ASSERT_NO_FATAL_FAILURE(delay({fixed(10ms)}));
  Stream stream(near(), kNearAddress, far(), kFarAddress);
  stream.send(20'000);
  EXPECT_GE(shortest(stream.receive(1)), 10ms);
  EXPECT_GT(delays().packets, 10U);
}

// UDP_SEGMENT (udp(7)): one send, many datagrams, as QUIC servers do it.
TEST_F(Delay, SegmentedUdp) {
  constexpr int kSegment = 1000;
  constexpr std::size_t kSegments = 20;
  ASSERT_NO_FATAL_FAILURE(delay({fixed(10ms)}));
  Stream stream(near(), kNearAddress, far(), kFarAddress);
  ASSERT_EQ(::setsockopt(stream.sender(), IPPROTO_UDP, UDP_SEGMENT, &kSegment, sizeof(kSegment)),
            0);
  stream.send(kSegment * kSegments);
  std::vector<char> payload(2 * kSegment);
  for (std::size_t i = 0; i < kSegments; ++i) {
    ASSERT_TRUE(readable(UniqueFd(::dup(stream.receiver())))) << i;
    EXPECT_EQ(::recv(stream.receiver(), payload.data(), payload.size(), 0), kSegment);
  }
}

// The tags go through the line beside the packet.
TEST_F(Delay, Vlans) {
  if (!test::run_command(near(), {"ip", "link", "add", "link", kCable, "name", "probe", "type",
                                  "vlan", "id", "1"})) {
    GTEST_SKIP() << "this kernel has no VLAN interfaces (8021q)";
  }
  run(near(), {"ip", "link", "del", "probe"});
  const auto add = [&](const kernel::NetNamespace& netns, const char* address) {
    run(netns, {"ip", "link", "add", "link", kCable, "name", "outer", "type", "vlan", "protocol",
                "802.1ad", "id", "5"});
    run(netns, {"ip", "link", "add", "link", "outer", "name", "inner", "type", "vlan", "id", "6"});
    for (const char* link : {"outer", "inner"}) {  // no packets of their own
      run(netns, {"ip", "link", "set", link, "addrgenmode", "none", "multicast", "off"});
    }
    run(netns, {"ip", "link", "set", "outer", "up"});
    run(netns, {"ip", "link", "set", "inner", "up"});
    run(netns, {"ip", "addr", "add", std::string(address) + "/24", "dev", "inner"});
  };
  ASSERT_NO_FATAL_FAILURE(add(near(), "10.201.0.1"));
  ASSERT_NO_FATAL_FAILURE(add(far(), "10.201.0.2"));
  constexpr std::size_t kCount = 5;
  for (const bool offloaded : {true, false}) {
    if (!offloaded) {
      ASSERT_NO_FATAL_FAILURE(run(near(), {"ethtool", "-K", kCable, "txvlan", "off"}));
    }
    ASSERT_NO_FATAL_FAILURE(delay({fixed(10ms)}, plan::Direction::both));
    Stream stream(near(), "10.201.0.1", far(), "10.201.0.2");
    Stream back(far(), "10.201.0.2", near(), "10.201.0.1");
    for (std::size_t i = 0; i < kCount; ++i) {
      stream.send();
      back.send();
    }
    EXPECT_GE(shortest(stream.receive(kCount)), 10ms);
    EXPECT_GE(shortest(back.receive(kCount)), 10ms);
    EXPECT_EQ(delays().packets, 2 * kCount);
  }
}

// Bare IP, as tun and WireGuard have it: no Ethernet header before the line, none after it.
TEST_F(Delay, InterfacesWithoutEthernet) {
  UniqueFd wire;  // the far end of the tunnel: what is written to it arrives at near
  auto made = near().run([&]() -> Result<void> {
    wire.reset(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    ifreq request{};
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    std::strcpy(request.ifr_name, "tun0");
    return ::ioctl(wire.get(), TUNSETIFF, &request) == 0 ? Result<void>{}
                                                         : fail_errno("make a tunnel", errno);
  });
  ASSERT_TRUE(made) << made.error().message;
  run(near(), {"ip", "link", "set", "tun0", "addrgenmode", "none", "multicast", "off"});
  run(near(), {"ip", "link", "set", "tun0", "up"});
  run(near(), {"ip", "addr", "add", "10.202.0.1/24", "dev", "tun0"});
  ASSERT_NO_FATAL_FAILURE(delay({fixed(10ms)}, plan::Direction::both, "tun0"));
  const UniqueFd socket = open_socket(near(), SOCK_DGRAM, "10.202.0.1", "10.202.0.2");
  const auto sent = Clock::now();
  ASSERT_EQ(::send(socket.get(), "question", 8, 0), 8);
  std::array<std::uint8_t, 2048> packet{};
  ASSERT_TRUE(readable(wire));
  ASSERT_EQ(::read(wire.get(), packet.data(), packet.size()), 20 + 8 + 8);
  EXPECT_GE(Clock::now() - sent, 10ms);
  EXPECT_EQ(packet[0], 0x45);
  // Its ends exchanged, it is the answer: checksums do not notice.
  std::swap_ranges(packet.begin() + 12, packet.begin() + 16, packet.begin() + 16);
  std::swap_ranges(packet.begin() + 20, packet.begin() + 22, packet.begin() + 22);
  const auto answered = Clock::now();
  ASSERT_EQ(::write(wire.get(), packet.data(), 36), 36);
  ASSERT_TRUE(readable(socket));
  EXPECT_GE(Clock::now() - answered, 10ms);
  ASSERT_TRUE(path_->detach());
  EXPECT_EQ(delays().packets, 2U);
}

// With the tags in the data, as devices have them that can't put them there themselves.
TEST_F(Delay, TaggedFrames) {
  const auto raw = [](const kernel::NetNamespace& netns) {
    UniqueFd socket;
    auto made = netns.run([&]() -> Result<void> {
      socket.reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
      sockaddr_ll address{};
      address.sll_family = AF_PACKET;
      address.sll_protocol = htons(ETH_P_ALL);
      address.sll_ifindex = static_cast<int>(::if_nametoindex(kCable));
      return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0
                 ? Result<void>{}
                 : fail_errno("bind", errno);
    });
    EXPECT_TRUE(made);
    return socket;
  };
  const std::vector<std::vector<std::uint8_t>> tags = {
      {0x81, 0x00, 0xa0, 0x05}, {0x88, 0xa8, 0x00, 0x07, 0x81, 0x00, 0x20, 0x06}};
  for (const auto& tag : tags) {
    ASSERT_NO_FATAL_FAILURE(delay({fixed(10ms)}));
    const UniqueFd sender = raw(near());
    const UniqueFd receiver = raw(far());
    const int on = 1;
    ASSERT_EQ(::setsockopt(receiver.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)), 0);
    const test::Bytes plain =
        test::make_packet(kNearAddress, kFarAddress, IPPROTO_UDP, kPort, kPort);
    test::Bytes frame(plain.begin(), plain.begin() + 2 * ETH_ALEN);
    frame.insert(frame.end(), tag.begin(), tag.end());
    frame.insert(frame.end(), plain.begin() + 2 * ETH_ALEN, plain.end());
    const auto sent = Clock::now();
    ASSERT_EQ(::send(sender.get(), frame.data(), frame.size(), 0),
              static_cast<ssize_t>(frame.size()));
    // The receiver's kernel takes the outer tag out of the data.
    test::Bytes data;
    std::array<char, CMSG_SPACE(sizeof(tpacket_auxdata))> control{};
    msghdr message{};
    do {  // what IPv6 says of itself on the cable is none of it
      data.resize(2048);
      iovec vector{.iov_base = data.data(), .iov_len = data.size()};
      message.msg_iov = &vector;
      message.msg_iovlen = 1;
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      ASSERT_TRUE(readable(receiver));
      const ssize_t length = ::recvmsg(receiver.get(), &message, 0);
      ASSERT_GE(length, 2 * ETH_ALEN);
      data.resize(static_cast<std::size_t>(length));
    } while (!std::equal(data.begin(), data.begin() + 2 * ETH_ALEN, frame.begin()));
    EXPECT_GE(Clock::now() - sent, 10ms);
    tpacket_auxdata outer{};
    ASSERT_NE(CMSG_FIRSTHDR(&message), nullptr);
    std::memcpy(&outer, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(outer));
    const std::array<std::uint8_t, 4> in_front = {
        static_cast<std::uint8_t>(outer.tp_vlan_tpid >> 8),
        static_cast<std::uint8_t>(outer.tp_vlan_tpid),
        static_cast<std::uint8_t>(outer.tp_vlan_tci >> 8),
        static_cast<std::uint8_t>(outer.tp_vlan_tci)};
    data.insert(data.begin() + 2 * ETH_ALEN, in_front.begin(), in_front.end());
    EXPECT_EQ(data, frame);
    ASSERT_TRUE(path_->detach());
    EXPECT_EQ(delays().packets, 1U);
  }
}

}  // namespace
}  // namespace holdfast::agent
