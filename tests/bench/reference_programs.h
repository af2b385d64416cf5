// The programs that Holdfast's are compared with and driven by, written as BPF instructions.
#pragma once

#include <cstdint>

#include "common/result.h"
#include "common/unique_fd.h"

namespace holdfast::bench {

// Returns -1 ("next"), as Holdfast does for a packet that is none of its business.
Result<UniqueFd> load_empty_program();

// The destinations that a driver writes: first + step * n, n random and below count. IPv4, host
// byte order.
struct Destinations {
  std::uint32_t first = 0, step = 1, count = 1;
};

// A program that gives an IPv4 packet in an Ethernet frame another destination address each time,
// then goes on in another program: BPF_PROG_TEST_RUN itself runs one packet again and again, whose
// way through the maps is then always in the caches.
class Driver {
 public:
  static Result<Driver> make(const Destinations& destinations, int program_fd);
  int program_fd() const { return program_.get(); }

 private:
  Driver(UniqueFd next, UniqueFd program) : next_(std::move(next)), program_(std::move(program)) {}
  UniqueFd next_;  // a tail call's map is emptied when its last handle is closed
  UniqueFd program_;
};

}  // namespace holdfast::bench
