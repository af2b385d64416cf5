// When this process began, as every Prometheus client library exports it.
#pragma once

namespace holdfast::agent {

// Seconds since 1970, as exact as the kernel's clock tick (10 ms). 0 where /proc can't say.
double process_start_time();

}  // namespace holdfast::agent
