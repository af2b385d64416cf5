// Prefixes of two families in one 128-bit space. IPv4 lives in ::ffff:0:0/96 there (RFC 4291,
// 2.5.5.2), and whoever writes ::/0 means every IPv6 address, not IPv4 as well.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "common/plan.h"

namespace holdfast::agent {

inline constexpr int kIpv4PrefixLength = 96;
inline constexpr std::array<std::uint8_t, 16> kIpv4Prefix = {0, 0, 0, 0, 0,    0,
                                                             0, 0, 0, 0, 0xff, 0xff};

inline bool is_ipv4(const std::uint8_t* address) {
  return std::equal(kIpv4Prefix.begin(), kIpv4Prefix.begin() + kIpv4PrefixLength / 8, address);
}
inline bool is_ipv4(const plan::Prefix& prefix) {
  return prefix.length >= kIpv4PrefixLength && is_ipv4(prefix.address.data());
}

// Whether the prefix contains the address, which is of the same family then.
inline bool contains(const plan::Prefix& prefix, const std::uint8_t* address) {
  if (is_ipv4(prefix) != is_ipv4(address)) {
    return false;
  }
  for (int bit = 0; bit < prefix.length; ++bit) {
    const int shift = 7 - bit % 8;
    if (((prefix.address[bit / 8] ^ address[bit / 8]) >> shift & 1) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace holdfast::agent
