// A process of our own that outlives a killed agent by the moment it takes to remove its filters.
// Only for clsact, whose filters stay when their process goes.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "common/result.h"
#include "common/unique_fd.h"

namespace holdfast::agent {

class Reaper {
 public:
  // Forks it. It ignores the terminal's signals, sleeps until this process ends in whatever way,
  // and then undoes what the journals of dead runs in `directory` say.
  static Result<Reaper> start(const std::filesystem::path& directory);
  Reaper(Reaper&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), lifeline_(std::move(other.lifeline_)) {}
  Reaper& operator=(Reaper&&) = delete;
  // Dismisses it and waits for it: what is left now is for the next run.
  ~Reaper();

 private:
  Reaper(pid_t pid, UniqueFd lifeline) : pid_(pid), lifeline_(std::move(lifeline)) {}
  pid_t pid_;
  UniqueFd lifeline_;  // closed by the kernel when this process ends; a byte in it: dismissed
};

}  // namespace holdfast::agent
