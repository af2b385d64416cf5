#include "controller/verify/enter_netns.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>

#include "common/unique_fd.h"

namespace holdfast::verify {

Result<void> enter_netns(const std::string& netns) {
  const std::string path = netns.contains('/') ? netns : "/run/netns/" + netns;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    auto error = fail_errno(fmt::format("open the network namespace {}", path), errno);
    error.error().cure = "`ip netns list` shows those that there are";
    return error;
  }
  if (::setns(file.get(), CLONE_NEWNET) == 0) {
    return {};
  }
  if (errno == EINVAL) {
    return fail(ErrorKind::usage, fmt::format("{} is not a network namespace", path));
  }
  auto error = fail_errno(fmt::format("enter the network namespace {}", path), errno);
  error.error().cure = "entering a network namespace needs root (CAP_SYS_ADMIN)";
  return error;
}

}  // namespace holdfast::verify
