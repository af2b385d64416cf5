// A packet as it comes out of a TAP with IFF_VNET_HDR: struct virtio_net_hdr (linux/virtio_net.h;
// the format is that of the virtio specification 1.2, 5.1.6), the parcel's header, and the packet,
// which may still be a large one that its device was to cut up, with checksums still to be summed
// up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bpf/holdfast_abi.h"

namespace holdfast::agent {

inline constexpr std::size_t kVirtioHeader = 10;

struct Frame {
  std::unique_ptr<std::byte[]> data;
  std::size_t size = 0, capacity = 0;

  std::span<std::byte> bytes() { return {data.get(), size}; }
  std::span<const std::byte> bytes() const { return {data.get(), size}; }
  Frame copy() const;
};

hf_parcel parcel_in(const Frame& frame);

// Bytes of its frames on a wire: of each segment by itself, with its headers.
std::uint64_t wire_bytes(const Frame& frame);

// Cuts a large packet as a device would, into packets of whole segments that are at most `most`
// bytes long, but one segment at least. Any other frame is left as it is. The pieces are in order.
std::vector<Frame> cut(Frame frame, std::uint64_t most);

// Flips one bit of the transport header or what it carries, after its checksum was summed up:
// receivers find it wrong. Of a large packet one segment is hit, and cut out for it.
std::vector<Frame> corrupt(Frame frame, std::uint64_t random);

}  // namespace holdfast::agent
