#include "agent/process_start_time.h"

#include <unistd.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>

namespace holdfast::agent {

double process_start_time() {
  std::ifstream stat("/proc/self/stat");
  std::string line;
  std::getline(stat, line);
  // The second field is the program's name, which may have blanks and brackets of its own.
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) {
    return 0;
  }
  std::istringstream fields(line.substr(name_end + 1));
  constexpr int kBefore = 19;  // fields 3 to 21 of proc(5); the 22nd is the start
  std::string skipped;
  for (int i = 0; i < kBefore; ++i) {
    fields >> skipped;
  }
  double ticks = 0;  // since the system booted
  timespec since_boot{};
  if (!(fields >> ticks) || ::clock_gettime(CLOCK_BOOTTIME, &since_boot) != 0) {
    return 0;
  }
  using Seconds = std::chrono::duration<double>;
  const double now = Seconds(std::chrono::system_clock::now().time_since_epoch()).count();
  const double uptime = Seconds(std::chrono::seconds(since_boot.tv_sec) +
                                std::chrono::nanoseconds(since_boot.tv_nsec))
                            .count();
  return now - uptime + ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace holdfast::agent
