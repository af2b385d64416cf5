// Two network namespaces joined by a cable (a veth pair). They have no names: whatever is in them,
// rules and programs included, goes when the last handle is closed, which the kernel does for a
// killed process too.
//
//   near 10.200.0.1 ---- 10.200.0.2 far       10.200.0.3: a neighbour that nobody is
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/kernel/netns.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace holdfast::test {

inline constexpr const char* kCable = "cable0";  // the interface's name, on both ends
inline constexpr const char* kNearAddress = "10.200.0.1";
inline constexpr const char* kFarAddress = "10.200.0.2";
// Has an entry in near's neighbour table, with a hardware address that is not far's: its packets
// cross the cable and are thrown away by far as soon as IP looks at them.
inline constexpr const char* kNobodyAddress = "10.200.0.3";

class TestNetwork {
 public:
  static Result<TestNetwork> make();

  const agent::kernel::NetNamespace& near() const { return near_; }
  const agent::kernel::NetNamespace& far() const { return far_; }
  // As a plan names them. Valid for other processes of the same user while this one lives.
  std::string near_path() const;
  std::string far_path() const;

 private:
  TestNetwork(agent::kernel::NetNamespace near, agent::kernel::NetNamespace far)
      : near_(std::move(near)), far_(std::move(far)) {}

  agent::kernel::NetNamespace near_, far_;
};

// A UDP socket of a namespace, connected to `address` (if given) and bound to `port` (if not 0).
Result<UniqueFd> udp_socket(const agent::kernel::NetNamespace& netns, std::uint16_t port,
                            const char* peer = nullptr, std::uint16_t peer_port = 0);

}  // namespace holdfast::test
