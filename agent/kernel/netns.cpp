#include "agent/kernel/netns.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cctype>
#include <filesystem>
#include <thread>

namespace holdfast::agent::kernel {
namespace {

constexpr const char* kNamedDirectory = "/run/netns";

}  // namespace

Result<NetNamespace> NetNamespace::open_path(const std::string& path, const std::string& label,
                                             std::string_view cure) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    const int error = errno;
    if (error == ENOENT || error == ESRCH) {
      return fail(ErrorKind::not_found, fmt::format("{} does not exist ({})", label, path),
                  std::string(cure));
    }
    return fail_errno(fmt::format("{}: open {}", label, path), error);
  }
  struct statfs file_system{};
  struct stat status{};
  if (::fstatfs(fd.get(), &file_system) != 0 || ::fstat(fd.get(), &status) != 0) {
    return fail_errno(label, errno);
  }
  // An ordinary file under /run/netns is what is left of a namespace whose mount is gone.
  if (file_system.f_type != NSFS_MAGIC) {
    return fail(ErrorKind::not_found, fmt::format("{}: {} is not a network namespace", label, path),
                std::string(cure));
  }
  return NetNamespace(std::move(fd), status.st_ino, label);
}

Result<NetNamespace> NetNamespace::current() {
  return open_path("/proc/thread-self/ns/net", "the agent's network namespace", "mount /proc");
}

Result<NetNamespace> NetNamespace::open(const std::string& name_or_path) {
  const bool is_path = name_or_path.find('/') != std::string::npos;
  return open_path(is_path ? name_or_path : fmt::format("{}/{}", kNamedDirectory, name_or_path),
                   fmt::format("network namespace {}", name_or_path),
                   "`ip netns list` shows the names that exist; for a container, give its pid");
}

Result<NetNamespace> NetNamespace::of_process(int pid) {
  return open_path(fmt::format("/proc/{}/ns/net", pid),
                   fmt::format("network namespace of pid {}", pid),
                   "the process must be running on this node");
}

Result<NetNamespace> NetNamespace::find(std::uint64_t inode) {
  namespace fs = std::filesystem;
  const auto is_it = [inode](const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && status.st_ino == inode;
  };
  const std::string label = fmt::format("network namespace {}", inode);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kNamedDirectory, error)) {
    if (is_it(entry.path())) {
      return open_path(entry.path(), label, "");
    }
  }
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    const std::string path = entry.path() / "ns/net";
    if (std::isdigit(static_cast<unsigned char>(name.front())) != 0 && is_it(path)) {
      return open_path(path, label, "");
    }
  }
  return fail(ErrorKind::not_found, label + " is gone");
}

Result<void> enter(const NetNamespace& netns) {
  if (::setns(netns.fd(), CLONE_NEWNET) != 0) {
    return fail_errno("enter " + netns.label(), errno);
  }
  return {};
}

Result<void> NetNamespace::run(const std::function<Result<void>()>& work) const {
  auto here = current();
  if (here && here->inode() == inode_) {
    return work();
  }
  Result<void> result;
  std::thread([&] {
    result = enter(*this);
    if (result) {
      result = work();
    }
  }).join();
  return result;
}

}  // namespace holdfast::agent::kernel
