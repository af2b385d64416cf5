#include "tests/bench/machine.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>

namespace holdfast::bench {
namespace {

std::string cpu_model() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown";
}

}  // namespace

Machine describe_machine(std::string command, std::string commit) {
  utsname system{};
  ::uname(&system);
  double load = 0;
  (void)::getloadavg(&load, 1);
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return {.cpu_model = cpu_model(),
          .cpus = ::sysconf(_SC_NPROCESSORS_ONLN),
          .architecture = system.machine,
          .kernel = system.release,
          .load_average = load,
          .date = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now)),
          .command = std::move(command),
          .commit = std::move(commit)};
}

}  // namespace holdfast::bench
