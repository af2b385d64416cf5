#include "agent/reaper.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "agent/journal.h"

namespace holdfast::agent {
namespace {

// Only the lifeline stays open: a terminal, a pipe or a lock that the reaper kept would outlive the
// agent with it.
int keep_only(int lifeline) {
  const int null = ::open("/dev/null", O_RDWR);
  for (const int standard : {0, 1, 2}) {
    if (null < 0) {
      ::close(standard);
    } else {
      ::dup2(null, standard);
    }
  }
  const int kept = ::dup2(lifeline, 3);
  ::close_range(4, ~0U, 0);
  return kept;
}

[[noreturn]] void wait_and_recover(int lifeline, const std::filesystem::path& directory) {
  ::setsid();
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) {
    ::signal(number, SIG_IGN);
  }
  const int fd = keep_only(lifeline);
  char byte = 0;
  ssize_t got = 0;
  do {
    got = ::read(fd, &byte, 1);
  } while (got < 0 && errno == EINTR);
  (void)recover(directory);
  ::_exit(0);
}

}  // namespace

Result<Reaper> Reaper::start(const std::filesystem::path& directory) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return fail_errno("make a pipe", errno);
  }
  UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) {
    return fail_errno("fork the reaper", errno);
  }
  if (pid == 0) {
    writing.reset();
    wait_and_recover(reading.get(), directory);
  }
  return Reaper(pid, std::move(writing));
}

Reaper::~Reaper() {
  if (pid_ > 0) {
    lifeline_.reset();
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

}  // namespace holdfast::agent
