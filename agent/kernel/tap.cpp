#include "agent/kernel/tap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>

namespace holdfast::agent::kernel {
namespace {

constexpr const char* kDriver = "/dev/net/tun";
constexpr std::string_view kNamePrefix = "holdfast";
// Frames wait here for the line's thread to run; a burst that finds it full is lost.
constexpr int kQueueLength = 16384;
// Parcels are longer than what they carry; jumbo frames (9000) and what offloads make of them fit.
constexpr int kMtu = 65521;
// linux/if_tun.h of 6.2: UDP segmentation. Debian 12's headers are 6.1's.
constexpr unsigned kUdpSegmentation4 = 0x20;
constexpr unsigned kUdpSegmentation6 = 0x40;

std::unexpected<Error> driver_error(int error) {
  if (error == ENOENT || error == ENODEV || error == ENXIO) {
    return fail(ErrorKind::unsupported, "this kernel has no tun driver, which delays need",
                "modprobe tun (in a container: let it have /dev/net/tun)");
  }
  return fail_errno(fmt::format("open {}", kDriver), error);
}

// Frames come and go as the kernel holds them: unsegmented, checksums not yet computed.
Result<void> take_offloads(int tap) {
  constexpr unsigned kTcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  // Without UDP's, which came with 6.2, the kernel segments before the TAP.
  if (::ioctl(tap, TUNSETOFFLOAD, kTcp | kUdpSegmentation4 | kUdpSegmentation6) != 0 &&
      ::ioctl(tap, TUNSETOFFLOAD, kTcp) != 0) {
    return fail_errno("set the offloads of a TAP", errno);
  }
  return {};
}

Result<void> configure(ifreq request) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto ask = [&](unsigned long what) { return ::ioctl(socket.get(), what, &request) == 0; };
  request.ifr_qlen = kQueueLength;
  bool done = ask(SIOCSIFTXQLEN);
  request.ifr_mtu = kMtu;
  done = done && ask(SIOCSIFMTU);
  done = done && ask(SIOCGIFFLAGS);
  request.ifr_flags = static_cast<short>((request.ifr_flags | IFF_UP | IFF_NOARP) & ~IFF_MULTICAST);
  done = done && ask(SIOCSIFFLAGS);
  return done ? Result<void>{} : fail_errno("configure a TAP", errno);
}

}  // namespace

Result<Tap> make_tap() {
  UniqueFd fd(::open(kDriver, O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    return driver_error(errno);
  }
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  fmt::format_to_n(request.ifr_name, IFNAMSIZ - 1, "{}%d", kNamePrefix);  // the kernel numbers it
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) {
    return fail_errno("make a TAP", errno);
  }
  const std::string name = request.ifr_name;
  if (auto taken = take_offloads(fd.get()); !taken) {
    return std::unexpected(taken.error());
  }
  // Before it is up: no link-local address, no solicitations. Missing where IPv6 is.
  std::ofstream(fmt::format("/proc/sys/net/ipv6/conf/{}/disable_ipv6", name)) << "1\n";
  if (auto configured = configure(request); !configured) {
    return std::unexpected(configured.error());
  }
  return Tap{.fd = std::move(fd), .ifindex = ::if_nametoindex(name.c_str()), .name = name};
}

Result<void> check_tun_driver() {
  return ::access(kDriver, R_OK | W_OK) == 0 ? Result<void>{} : driver_error(errno);
}

bool is_delay_tap(const Link& link) {
  return link.kind == "tun" && link.name.starts_with(kNamePrefix);
}

}  // namespace holdfast::agent::kernel
