// The calling thread on one processor: it is not moved in the middle of a measurement.
#pragma once

#include <sched.h>

namespace holdfast::bench {

class Pinned {
 public:
  // The last processor, which interrupts use least. Where it may not be used the thread stays as
  // it is.
  Pinned() {
    ::sched_getaffinity(0, sizeof(before_), &before_);
    int last = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &before_)) {
        last = cpu;
      }
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    ::sched_setaffinity(0, sizeof(one), &one);
  }
  ~Pinned() { ::sched_setaffinity(0, sizeof(before_), &before_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

 private:
  cpu_set_t before_{};
};

}  // namespace holdfast::bench
