#include "tests/support/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

namespace holdfast::test {
namespace {

constexpr int kCannotStart = 127;

std::vector<char*> argument_vector(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  return arguments;
}

// In the child; never returns.
[[noreturn]] void become(const std::vector<char*>& arguments, int output) {
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  // A benchmark blocks no signal, but whoever started it may have.
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvp(arguments[0], arguments.data());
  ::_exit(kCannotStart);
}

std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t size = 0; (size = ::read(fd, buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<std::size_t>(size));
  }
  return text;
}

}  // namespace

Result<void> run_command(const agent::kernel::NetNamespace& netns,
                         const std::vector<std::string>& command) {
  return netns.run([&]() -> Result<void> {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      return fail_errno("make a pipe", errno);
    }
    const UniqueFd output(ends[0]);
    UniqueFd input(ends[1]);
    const std::vector<char*> arguments = argument_vector(command);
    const pid_t pid = ::fork();
    if (pid < 0) {
      return fail_errno("fork", errno);
    }
    if (pid == 0) {
      become(arguments, input.get());
    }
    input.reset();
    const std::string said = read_all(output.get());
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      return fail(ErrorKind::io,
                  fmt::format("`{}` failed: {}", fmt::join(command, " "),
                              said.empty() ? "it could not be started" : said),
                  "`scripts/lib/deps.sh bench` installs what the benchmarks need");
    }
    return {};
  });
}

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& command,
                                         const std::filesystem::path& log,
                                         const agent::kernel::NetNamespace* netns) {
  const UniqueFd output(
      ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
  if (!output) {
    return fail_errno(fmt::format("open {}", log.string()), errno);
  }
  const std::vector<char*> arguments = argument_vector(command);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    return fail_errno("fork", errno);
  }
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent || (netns != nullptr && ::setns(netns->fd(), CLONE_NEWNET) != 0)) {
      ::_exit(kCannotStart);
    }
    become(arguments, output.get());
  }
  return ChildProcess(pid, log);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), status_(other.status_), log_(std::move(other.log_)) {}

ChildProcess::~ChildProcess() {
  if (running()) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

void ChildProcess::signal(int number) const {
  if (pid_ > 0) {
    ::kill(pid_, number);
  }
}

bool ChildProcess::running() {
  if (pid_ > 0 && ::waitpid(pid_, &status_, WNOHANG) == pid_) {
    pid_ = -1;
  }
  return pid_ > 0;
}

std::optional<int> ChildProcess::wait(std::chrono::milliseconds at_most) {
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  while (running()) {
    if (std::chrono::steady_clock::now() >= deadline) {
      return std::nullopt;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
}

std::string ChildProcess::last_words() const {
  std::ifstream file(log_);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  constexpr std::size_t kShown = 600;
  return text.size() > kShown ? "…" + text.substr(text.size() - kShown) : text;
}

}  // namespace holdfast::test
