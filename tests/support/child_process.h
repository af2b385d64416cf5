// Processes that a test or benchmark starts: waited for, or ended with their owner.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "agent/kernel/netns.h"
#include "common/result.h"

namespace holdfast::test {

// Runs a command in a network namespace to its end. An error unless it exits with 0: what it wrote
// is in the message.
Result<void> run_command(const agent::kernel::NetNamespace& netns,
                         const std::vector<std::string>& command);

// Killed with the object, and by the kernel when its owner is killed.
class ChildProcess {
 public:
  // To be called from a thread that outlives the child: the kernel takes that thread's end for its
  // parent's. `netns`: where it runs; null: here. Output goes to the file `log`.
  static Result<ChildProcess> start(const std::vector<std::string>& command,
                                    const std::filesystem::path& log,
                                    const agent::kernel::NetNamespace* netns = nullptr);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();

  void signal(int number) const;
  bool running();
  // Its exit code (128 + N where signal N ended it); nothing when it is still running then.
  std::optional<int> wait(std::chrono::milliseconds at_most);
  // The log's end, for messages.
  std::string last_words() const;

 private:
  ChildProcess(pid_t pid, std::filesystem::path log) : pid_(pid), log_(std::move(log)) {}

  pid_t pid_ = -1;  // -1: it has ended and was waited for
  int status_ = 0;
  std::filesystem::path log_;
};

}  // namespace holdfast::test
