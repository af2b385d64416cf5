// Network namespaces: opened, told apart, and entered by a thread made for it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/unique_fd.h"

namespace holdfast::agent::kernel {

// An open network namespace. It stays alive as long as this handle, even when its name and its last
// process are gone.
class NetNamespace {
 public:
  // The one this thread is in.
  static Result<NetNamespace> current();
  // By name under /run/netns (`ip netns`), or by a path such as /proc/7/ns/net.
  static Result<NetNamespace> open(const std::string& name_or_path);
  static Result<NetNamespace> of_process(int pid);
  // By inode: looks through /run/netns and /proc. For recovery, which has only what the journal
  // says.
  static Result<NetNamespace> find(std::uint64_t inode);

  std::uint64_t inode() const { return inode_; }
  int fd() const { return fd_.get(); }
  // "network namespace edge", "the agent's network namespace"; for messages.
  const std::string& label() const { return label_; }
  void set_label(std::string label) { label_ = std::move(label); }

  // Runs `work` in this namespace: in the calling thread where it is there already, else in a
  // thread of its own, so that no other thread is ever moved. Waits for it.
  Result<void> run(const std::function<Result<void>()>& work) const;

 private:
  NetNamespace(UniqueFd fd, std::uint64_t inode, std::string label)
      : fd_(std::move(fd)), inode_(inode), label_(std::move(label)) {}
  static Result<NetNamespace> open_path(const std::string& path, const std::string& label,
                                        std::string_view cure);

  UniqueFd fd_;
  std::uint64_t inode_ = 0;
  std::string label_;
};

// Moves the calling thread for good; for threads that were made for one namespace.
Result<void> enter(const NetNamespace& netns);

}  // namespace holdfast::agent::kernel
