// Where figures were measured: they mean nothing without it.
#pragma once

#include <string>

namespace holdfast::bench {

struct Machine {
  std::string cpu_model;
  long cpus = 0;  // online
  std::string architecture, kernel;
  double load_average = 0;  // of the last minute, before the first benchmark
  std::string date;         // UTC, ISO 8601
  std::string command, commit;
};

// What can't be found out is "unknown".
Machine describe_machine(std::string command, std::string commit);

}  // namespace holdfast::bench
