#include "agent/delay/frame.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

namespace holdfast::agent {
namespace {

// struct virtio_net_hdr; the header of that name does not compile as C++.
struct VirtioHeader {
  std::uint8_t flags, gso_type;
  std::uint16_t header_length, gso_size, checksum_start, checksum_offset;
};
static_assert(sizeof(VirtioHeader) == kVirtioHeader);
constexpr std::uint8_t kNeedsChecksum = 1;
constexpr std::uint8_t kGsoTcpV4 = 1, kGsoTcpV6 = 4, kGsoUdp = 5, kGsoEcn = 0x80;

constexpr std::size_t kEthernet = 14;
constexpr std::uint8_t kTcpFin = 0x01, kTcpPush = 0x08, kTcpCwr = 0x80;
constexpr std::size_t kTcpFlags = 13;

template <class T>
T load(const Frame& frame, std::size_t at) {
  T value;
  std::memcpy(&value, frame.data.get() + at, sizeof(value));
  return value;
}

template <class T>
void store(Frame& frame, std::size_t at, T value) {
  std::memcpy(frame.data.get() + at, &value, sizeof(value));
}

void store16(Frame& frame, std::size_t at, std::size_t value) {
  store(frame, at, htons(static_cast<std::uint16_t>(value)));
}

// Where things are in a packet that is to be cut up; offsets into the frame.
struct Shape {
  VirtioHeader virtio;
  std::size_t network, transport, payload;
  bool is_ipv6, is_tcp;

  std::size_t headers() const { return payload - kVirtioHeader - sizeof(hf_parcel); }
  std::size_t segments(const Frame& frame) const {
    return (frame.size - payload + virtio.gso_size - 1) / virtio.gso_size;
  }
};

std::optional<Shape> shape_of(const Frame& frame) {
  Shape shape{};
  shape.virtio = load<VirtioHeader>(frame, 0);
  const std::uint8_t type = shape.virtio.gso_type & ~kGsoEcn;
  if (shape.virtio.gso_size == 0 || (type != kGsoTcpV4 && type != kGsoTcpV6 && type != kGsoUdp)) {
    return std::nullopt;
  }
  const hf_parcel parcel = parcel_in(frame);
  shape.is_tcp = type != kGsoUdp;
  shape.is_ipv6 = parcel.type == htons(0x86dd);
  shape.network = kVirtioHeader + sizeof(hf_parcel) + (parcel.has_ethernet != 0 ? kEthernet : 0);
  // The kernel leaves the checksum to the device wherever it leaves the cutting to it.
  shape.transport = kVirtioHeader + shape.virtio.checksum_start;
  const std::size_t least = shape.transport + (shape.is_tcp ? 20 : 8);
  if ((shape.virtio.flags & kNeedsChecksum) == 0 || shape.transport < shape.network + 20 ||
      least > frame.size) {
    return std::nullopt;
  }
  shape.payload = least;
  if (shape.is_tcp) {
    const auto offset = load<std::uint8_t>(frame, shape.transport + 12);
    shape.payload = shape.transport + static_cast<std::size_t>(offset >> 4) * 4;
  }
  return shape.payload < frame.size ? std::optional(shape) : std::nullopt;
}

// One's complement sum of 16-bit words (RFC 1071), in network order as they stand.
std::uint64_t sum(const Frame& frame, std::size_t from, std::size_t to, std::uint64_t start = 0) {
  for (; from + 1 < to; from += 2) {
    start += load<std::uint16_t>(frame, from);
  }
  if (from < to) {
    start += load<std::uint8_t>(frame, from);  // as if a zero octet followed (little endian)
  }
  return start;
}

std::uint16_t folded(std::uint64_t sum) {
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(sum);
}

// What a device is given where it sums up the rest: the pseudo-header (RFC 9293, 3.1; RFC 8200,
// 8.1).
std::uint16_t pseudo_header(const Frame& frame, const Shape& shape) {
  const std::size_t addresses = shape.network + (shape.is_ipv6 ? 8 : 12);
  const std::size_t width = shape.is_ipv6 ? 32 : 8;
  const std::uint64_t start =
      htons(static_cast<std::uint16_t>(frame.size - shape.transport)) +
      static_cast<std::uint64_t>(htons(shape.is_tcp ? IPPROTO_TCP : IPPROTO_UDP));
  return folded(sum(frame, addresses, addresses + width, start));
}

// Segments `first` to `first` + `count` of the large packet, as a packet.
Frame piece_of(const Frame& whole, const Shape& shape, std::size_t first, std::size_t count) {
  const std::size_t offset = first * shape.virtio.gso_size;
  const std::size_t payload = whole.size - shape.payload;
  const std::size_t length =
      std::min(count * static_cast<std::size_t>(shape.virtio.gso_size), payload - offset);
  const bool is_last = offset + length == payload;
  Frame piece{.data = std::make_unique_for_overwrite<std::byte[]>(shape.payload + length),
              .size = shape.payload + length,
              .capacity = shape.payload + length};
  std::memcpy(piece.data.get(), whole.data.get(), shape.payload);
  std::memcpy(piece.data.get() + shape.payload, whole.data.get() + shape.payload + offset, length);

  VirtioHeader virtio = shape.virtio;
  virtio.header_length = static_cast<std::uint16_t>(shape.payload - kVirtioHeader);
  if (first > 0) {
    virtio.gso_type &= static_cast<std::uint8_t>(~kGsoEcn);
  }
  if (length <= virtio.gso_size) {
    virtio.gso_type = 0;
    virtio.gso_size = 0;
  }
  store(piece, 0, virtio);
  if (shape.is_ipv6) {
    store16(piece, shape.network + 4, piece.size - shape.network - 40);
  } else {
    const std::size_t header = (load<std::uint8_t>(piece, shape.network) & 0x0fU) * 4;
    const std::uint16_t id = ntohs(load<std::uint16_t>(piece, shape.network + 4));
    store16(piece, shape.network + 2, piece.size - shape.network);
    store16(piece, shape.network + 4, id + first);
    store(piece, shape.network + 10, std::uint16_t{0});
    store(piece, shape.network + 10,
          static_cast<std::uint16_t>(~folded(sum(piece, shape.network, shape.network + header))));
  }
  if (shape.is_tcp) {
    const std::uint32_t sequence = ntohl(load<std::uint32_t>(piece, shape.transport + 4));
    store(piece, shape.transport + 4, htonl(sequence + static_cast<std::uint32_t>(offset)));
    auto flags = load<std::uint8_t>(piece, shape.transport + kTcpFlags);
    flags &= static_cast<std::uint8_t>(first > 0 ? ~kTcpCwr : 0xff);
    flags &= static_cast<std::uint8_t>(is_last ? 0xff : ~(kTcpFin | kTcpPush));
    store(piece, shape.transport + kTcpFlags, flags);
  } else {
    store16(piece, shape.transport + 4, piece.size - shape.transport);
  }
  store(piece, kVirtioHeader + virtio.checksum_start + virtio.checksum_offset,
        pseudo_header(piece, shape));
  return piece;
}

// Sums up what was left to a device.
void finish_checksum(Frame& frame) {
  auto virtio = load<VirtioHeader>(frame, 0);
  const std::size_t start = kVirtioHeader + virtio.checksum_start;
  const std::size_t field = start + virtio.checksum_offset;
  if ((virtio.flags & kNeedsChecksum) == 0 || field + 2 > frame.size) {
    return;
  }
  auto checksum = static_cast<std::uint16_t>(~folded(sum(frame, start, frame.size)));
  if (checksum == 0 && virtio.checksum_offset == 6) {
    checksum = 0xffff;  // of UDP, where 0 is none (RFC 768)
  }
  store(frame, field, checksum);
  virtio.flags &= static_cast<std::uint8_t>(~kNeedsChecksum);
  store(frame, 0, virtio);
}

// Where the transport header begins, as far as can be seen without walking extension headers.
std::size_t transport_of(const Frame& frame) {
  const hf_parcel parcel = parcel_in(frame);
  const std::size_t network =
      kVirtioHeader + sizeof(hf_parcel) + (parcel.has_ethernet != 0 ? kEthernet : 0);
  if (network >= frame.size) {
    return frame.size;
  }
  const std::size_t header =
      parcel.type == htons(0x86dd) ? 40 : (load<std::uint8_t>(frame, network) & 0x0fU) * 4;
  return network + header;
}

void flip(Frame& frame, std::uint64_t random) {
  finish_checksum(frame);
  const std::size_t begins = transport_of(frame);
  if (begins < frame.size) {
    const std::size_t at = begins + (random >> 3) % (frame.size - begins);
    frame.data[at] ^= std::byte{1} << (random & 7);
  }
}

}  // namespace

Frame Frame::copy() const {
  Frame other{
      .data = std::make_unique_for_overwrite<std::byte[]>(size), .size = size, .capacity = size};
  std::memcpy(other.data.get(), data.get(), size);
  return other;
}

hf_parcel parcel_in(const Frame& frame) {
  return load<hf_parcel>(frame, kVirtioHeader);
}

std::uint64_t wire_bytes(const Frame& frame) {
  const std::uint64_t length = frame.size - kVirtioHeader - sizeof(hf_parcel);
  const auto shape = shape_of(frame);
  return shape ? length + (shape->segments(frame) - 1) * shape->headers() : length;
}

std::vector<Frame> cut(Frame frame, std::uint64_t most) {
  std::vector<Frame> pieces;
  const auto shape = shape_of(frame);
  const std::size_t segments = shape ? shape->segments(frame) : 1;
  const std::size_t each =
      shape ? std::max<std::size_t>(most / (shape->virtio.gso_size + shape->headers()), 1) : 1;
  if (each >= segments) {
    pieces.push_back(std::move(frame));
    return pieces;
  }
  for (std::size_t first = 0; first < segments; first += each) {
    pieces.push_back(piece_of(frame, *shape, first, each));
  }
  return pieces;
}

std::vector<Frame> corrupt(Frame frame, std::uint64_t random) {
  std::vector<Frame> pieces;
  const auto shape = shape_of(frame);
  if (!shape) {
    flip(frame, random);
    pieces.push_back(std::move(frame));
    return pieces;
  }
  const std::size_t segments = shape->segments(frame);
  const std::size_t hit = (random >> 32) % segments;
  if (hit > 0) {
    pieces.push_back(piece_of(frame, *shape, 0, hit));
  }
  pieces.push_back(piece_of(frame, *shape, hit, 1));
  flip(pieces.back(), random);
  if (hit + 1 < segments) {
    pieces.push_back(piece_of(frame, *shape, hit + 1, segments - hit - 1));
  }
  return pieces;
}

}  // namespace holdfast::agent
