#include "agent/reaper.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "agent/journal.h"

namespace holdfast::agent {
namespace {

// Only these stay open: a terminal, a pipe or a lock that the reaper kept would outlive the agent
// with it.
void keep_only(UniqueFd& lifeline, UniqueFd& agent) {
  const int null = ::open("/dev/null", O_RDWR);
  for (const int standard : {0, 1, 2}) {
    if (null < 0) {
      ::close(standard);
    } else {
      ::dup2(null, standard);
    }
  }
  constexpr int kFirst = 3;
  // Both are moved out of the way before they are put in place: one may stand where the other goes.
  const int high_lifeline = ::fcntl(lifeline.get(), F_DUPFD, kFirst + 2);
  const int high_agent = ::fcntl(agent.get(), F_DUPFD, kFirst + 2);
  (void)lifeline.release();
  (void)agent.release();
  lifeline = UniqueFd(::dup2(high_lifeline, kFirst));
  agent = UniqueFd(::dup2(high_agent, kFirst + 1));
  ::close_range(kFirst + 2, ~0U, 0);
}

// Whether the agent ended without a word.
bool is_bereft(const UniqueFd& lifeline) {
  char byte = 0;
  ssize_t got = 0;
  do {
    got = ::read(lifeline.get(), &byte, 1);
  } while (got < 0 && errno == EINTR);
  return got == 0;
}

[[noreturn]] void wait_and_recover(UniqueFd lifeline, UniqueFd agent,
                                   const std::filesystem::path& directory) {
  ::setsid();
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) {
    ::signal(number, SIG_IGN);
  }
  keep_only(lifeline, agent);
  if (is_bereft(lifeline)) {
    // A dying process closes its files one after the other: its lock on the journal, which says
    // that its run lives, is gone for certain only when the whole process is.
    pollfd gone{.fd = agent.get(), .events = POLLIN, .revents = 0};
    while (::poll(&gone, 1, -1) < 0 && errno == EINTR) {
    }
    (void)recover(directory);
  }
  ::_exit(0);
}

}  // namespace

Result<Reaper> Reaper::start(const std::filesystem::path& directory) {
  std::array<int, 2> ends{};
  // Not a pipe: a word to a reaper that was killed must not end the agent with SIGPIPE.
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno("make a socket pair", errno);
  }
  UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  // By number: in glibc 2.36 sys/pidfd.h declares the function for C only.
  UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!self) {
    return fail_errno("open a pidfd", errno);
  }
  const pid_t pid = ::fork();
  if (pid < 0) {
    return fail_errno("fork the reaper", errno);
  }
  if (pid == 0) {
    writing.reset();
    wait_and_recover(std::move(reading), std::move(self), directory);
  }
  return Reaper(pid, std::move(writing));
}

Reaper::~Reaper() {
  if (pid_ > 0) {
    (void)::send(lifeline_.get(), "", 1, MSG_NOSIGNAL);
    lifeline_.reset();
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

}  // namespace holdfast::agent
