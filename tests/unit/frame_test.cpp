// Large packets cut up and corrupted as a device and a bad cable would; checksums are summed up
// here by themselves.
#include "agent/delay/frame.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace holdfast::agent {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kParcelEnd = kVirtioHeader + sizeof(hf_parcel);
constexpr std::size_t kEthernet = 14;

unsigned read16(const Bytes& bytes, std::size_t at) {
  return static_cast<unsigned>(bytes.at(at)) << 8 | bytes.at(at + 1);
}
std::uint32_t read32(const Bytes& bytes, std::size_t at) {
  return read16(bytes, at) << 16 | read16(bytes, at + 2);
}
void put16(Bytes& bytes, std::size_t at, unsigned value) {
  bytes.at(at) = static_cast<std::uint8_t>(value >> 8);
  bytes.at(at + 1) = static_cast<std::uint8_t>(value);
}

// RFC 1071, over bytes as they are on the wire.
unsigned checksum(const Bytes& bytes, std::size_t from, std::size_t to, unsigned long sum = 0) {
  for (std::size_t i = from; i < to; ++i) {
    sum += static_cast<unsigned long>(bytes.at(i)) << ((i - from) % 2 == 0 ? 8 : 0);
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<unsigned>(~sum & 0xffff);
}

struct Kind {
  bool ipv6;
  bool tcp;
  std::size_t transport() const { return kEthernet + (ipv6 ? 40 : 20); }
  std::size_t payload() const { return transport() + (tcp ? 32 : 8); }  // TCP with options
};

std::string name_of(const testing::TestParamInfo<Kind>& info) {
  return std::string(info.param.tcp ? "Tcp" : "Udp") + (info.param.ipv6 ? "V6" : "V4");
}

// The packet alone, from its Ethernet header.
Bytes packet_of(const Frame& frame) {
  Bytes bytes(frame.size - kParcelEnd);
  std::memcpy(bytes.data(), frame.data.get() + kParcelEnd, bytes.size());
  return bytes;
}
unsigned gso_size(const Frame& frame) {
  std::uint16_t size = 0;
  std::memcpy(&size, frame.data.get() + 4, sizeof(size));
  return size;
}
bool needs_checksum(const Frame& frame) {
  return (frame.data[0] & std::byte{1}) != std::byte{0};
}

// With the checksum that a device would have put in, if it is left to one.
Bytes as_sent(const Frame& frame) {
  Bytes packet = packet_of(frame);
  if (needs_checksum(frame)) {
    std::uint16_t start = 0, offset = 0;
    std::memcpy(&start, frame.data.get() + 6, sizeof(start));
    std::memcpy(&offset, frame.data.get() + 8, sizeof(offset));
    const std::size_t transport = start - sizeof(hf_parcel);
    put16(packet, transport + offset, checksum(packet, transport, packet.size()));
  }
  return packet;
}

bool checksums_are_right(const Bytes& packet, Kind kind) {
  const std::size_t network = kEthernet;
  if (!kind.ipv6 && checksum(packet, network, network + 20) != 0) {
    return false;
  }
  unsigned long pseudo = (packet.size() - kind.transport()) + (kind.tcp ? 6 : 17);
  const std::size_t addresses = network + (kind.ipv6 ? 8 : 12);
  for (std::size_t i = addresses; i < kind.transport(); i += 2) {
    pseudo += read16(packet, i);
  }
  return checksum(packet, kind.transport(), packet.size(), pseudo) == 0;
}

class Cut : public testing::TestWithParam<Kind> {
 protected:
  static constexpr unsigned kSegment = 100;

  // As the kernel hands it over: the checksum and the cutting left to the device.
  static Frame large(std::size_t payload) {
    const Kind kind = GetParam();
    Bytes packet(kind.payload() + payload);
    for (std::size_t i = 0; i < payload; ++i) {
      packet[kind.payload() + i] = static_cast<std::uint8_t>(i * 7);
    }
    put16(packet, 12, kind.ipv6 ? 0x86dd : 0x0800);
    const std::size_t network = kEthernet;
    if (kind.ipv6) {
      packet[network] = 0x60;
      put16(packet, network + 4, static_cast<unsigned>(packet.size() - kind.transport()));
      packet[network + 6] = kind.tcp ? 6 : 17;
    } else {
      packet[network] = 0x45;
      put16(packet, network + 2, static_cast<unsigned>(packet.size() - network));
      put16(packet, network + 4, 0xfffe);  // wraps around
      packet[network + 9] = kind.tcp ? 6 : 17;
    }
    for (std::size_t i = network + (kind.ipv6 ? 8 : 12); i < kind.transport(); ++i) {
      packet[i] = static_cast<std::uint8_t>(i);
    }
    if (kind.tcp) {
      put16(packet, kind.transport() + 4, 0xffff);  // the sequence number wraps around, too
      put16(packet, kind.transport() + 6, 0xffce);
      packet[kind.transport() + 12] = 0x80;
      packet[kind.transport() + 13] = 0x80 | 0x10 | 0x08 | 0x01;  // CWR, ACK, PSH, FIN
    }
    Frame frame{.data = std::make_unique<std::byte[]>(kParcelEnd + packet.size()),
                .size = kParcelEnd + packet.size(),
                .capacity = kParcelEnd + packet.size()};
    const std::uint8_t type = !kind.tcp ? 5 : kind.ipv6 ? 4 : 1;
    const std::array<std::uint16_t, 4> numbers = {
        static_cast<std::uint16_t>(frame.size - kVirtioHeader), kSegment,
        static_cast<std::uint16_t>(sizeof(hf_parcel) + kind.transport()),
        static_cast<std::uint16_t>(kind.tcp ? 16 : 6)};
    frame.data[0] = std::byte{1};
    frame.data[1] = std::byte{type};
    std::memcpy(frame.data.get() + 2, numbers.data(), sizeof(numbers));
    hf_parcel parcel{};
    parcel.has_ethernet = 1;
    parcel.type = htons(kind.ipv6 ? 0x86dd : 0x0800);
    parcel.mark = 77;
    std::memcpy(frame.data.get() + kVirtioHeader, &parcel, sizeof(parcel));
    std::memcpy(frame.data.get() + kParcelEnd, packet.data(), packet.size());
    return frame;
  }
  static Bytes payload_of(const std::vector<Frame>& pieces) {
    Bytes all;
    for (const Frame& piece : pieces) {
      const Bytes packet = packet_of(piece);
      all.insert(all.end(), packet.begin() + static_cast<long>(GetParam().payload()), packet.end());
    }
    return all;
  }
};

TEST_P(Cut, IntoSegmentsThatCarryTheSame) {
  const Kind kind = GetParam();
  const Bytes whole = packet_of(large(250));
  const std::vector<Frame> pieces = cut(large(250), 1);
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(payload_of(pieces),
            Bytes(whole.begin() + static_cast<long>(kind.payload()), whole.end()));
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const Bytes sent = as_sent(pieces[i]);
    EXPECT_TRUE(checksums_are_right(sent, kind)) << i;
    EXPECT_EQ(gso_size(pieces[i]), 0U);
    EXPECT_EQ(parcel_in(pieces[i]).mark, 77U);
    EXPECT_EQ(sent.size(), kind.payload() + (i < 2 ? 100 : 50));
    if (kind.ipv6) {
      EXPECT_EQ(read16(sent, kEthernet + 4), sent.size() - kind.transport());
    } else {
      EXPECT_EQ(read16(sent, kEthernet + 2), sent.size() - kEthernet);
      EXPECT_EQ(read16(sent, kEthernet + 4), (0xfffe + i) & 0xffff);
    }
    if (kind.tcp) {
      EXPECT_EQ(read32(sent, kind.transport() + 4),
                static_cast<std::uint32_t>(0xffffffce + i * 100));
      const std::uint8_t flags[] = {0x90, 0x10, 0x19};
      EXPECT_EQ(sent[kind.transport() + 13], flags[i]);
    } else {
      EXPECT_EQ(read16(sent, kind.transport() + 4), sent.size() - kind.transport());
    }
  }
}

TEST_P(Cut, IntoSmallerLargePackets) {
  const std::size_t headers = GetParam().payload();
  const std::vector<Frame> pieces = cut(large(550), 2 * (headers + kSegment) + 1);
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(gso_size(pieces[0]), kSegment);
  EXPECT_EQ(packet_of(pieces[0]).size(), headers + 200);
  EXPECT_EQ(packet_of(pieces[2]).size(), headers + 150);
  std::uint64_t bytes = 0;
  for (const Frame& piece : pieces) {
    bytes += wire_bytes(piece);
  }
  EXPECT_EQ(bytes, 6 * headers + 550);
  EXPECT_EQ(wire_bytes(large(550)), bytes);
}

TEST_P(Cut, NotAtAllWhereItFits) {
  EXPECT_EQ(cut(large(550), 1'000'000).size(), 1U);
}

TEST_P(Cut, CorruptionHitsOneBitOfOneSegment) {
  const Kind kind = GetParam();
  const std::vector<Frame> healthy = cut(large(450), 1);
  for (std::uint64_t random = 1; random < 400; ++random) {
    const std::uint64_t number = random << 32 | random * 7919;
    std::vector<Bytes> sent;
    for (Frame& piece : corrupt(large(450), number)) {
      for (Frame& segment : cut(std::move(piece), 1)) {
        sent.push_back(as_sent(segment));
      }
    }
    ASSERT_EQ(sent.size(), healthy.size());
    int bits = 0, wrong = 0;
    for (std::size_t i = 0; i < sent.size(); ++i) {
      const Bytes was = as_sent(healthy[i]);
      ASSERT_EQ(sent[i].size(), was.size());
      for (std::size_t at = 0; at < was.size(); ++at) {
        const int changed = __builtin_popcount(static_cast<unsigned>(sent[i][at] ^ was[at]));
        EXPECT_TRUE(changed == 0 || at >= kind.transport());
        bits += changed;
      }
      wrong += checksums_are_right(sent[i], kind) ? 0 : 1;
    }
    EXPECT_EQ(bits, 1);
    EXPECT_EQ(wrong, 1);
  }
}

TEST_P(Cut, WhatLiesAboutItselfIsLeftAsItIs) {
  // Where its headers would end beyond it.
  Frame frame = large(10);
  frame.size = kParcelEnd + GetParam().transport() + 4;
  EXPECT_EQ(cut(std::move(frame), 1).size(), 1U);
  Frame start = large(10);
  const std::uint16_t beyond = 60000;
  std::memcpy(start.data.get() + 6, &beyond, sizeof(beyond));
  EXPECT_EQ(corrupt(std::move(start), 5).size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Cut,
                         testing::Values(Kind{false, true}, Kind{true, true}, Kind{false, false},
                                         Kind{true, false}),
                         name_of);

}  // namespace
}  // namespace holdfast::agent
