// Requests to the kernel by netlink (netlink(7)), in the calling thread's namespace.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <functional>

#include "common/result.h"

namespace holdfast::agent::kernel {

// `bus` is NETLINK_ROUTE, NETLINK_SOCK_DIAG, …; `fill` adds the family's header to the message,
// 256 bytes in all; `visit` sees each message of the answer. Errors: those of the kernel.
Result<void> dump_netlink(int bus, std::uint16_t type, const std::function<void(nlmsghdr*)>& fill,
                          const std::function<void(const nlmsghdr*)>& visit);

// A request that is only acknowledged. The error is the kernel's, as errno; 0: done.
Result<int> ask_netlink(int bus, std::uint16_t type, const std::function<void(nlmsghdr*)>& fill);

}  // namespace holdfast::agent::kernel
