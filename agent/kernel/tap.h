// A TAP device (linux/Documentation/networking/tuntap.rst) that carries the packets of a delay
// line. It is nobody's network: no address, no IPv6, no ARP, and what is not a parcel of ours is
// dropped.
#pragma once

#include <cstdint>
#include <string>

#include "agent/kernel/rtnetlink.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace holdfast::agent::kernel {

struct Tap {
  UniqueFd fd;  // non-blocking; the device goes with it, also when the process is killed
  std::uint32_t ifindex = 0;
  std::string name;
};

// In the calling thread's network namespace, up. Errors: unsupported (no tun driver), permission,
// io.
Result<Tap> make_tap();

// Whether a TAP could be made, as far as can be seen without loading a module.
Result<void> check_tun_driver();

bool is_delay_tap(const Link& link);

}  // namespace holdfast::agent::kernel
