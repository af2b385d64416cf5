// Waiting for a condition, with a bound.
#pragma once

#include <chrono>
#include <thread>

namespace holdfast::bench {

inline constexpr std::chrono::seconds kPatience{20};

// Whether the condition came true in time. Looks every millisecond.
template <class Condition>
bool wait_until(Condition&& condition, std::chrono::milliseconds at_most = kPatience) {
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

inline double to_ms(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace holdfast::bench
