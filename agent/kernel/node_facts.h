// What the file system says about this process and its kernel: /proc, /sys and the module lists.
// Read only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::agent::kernel {

// Where a kernel module is. `loadable` ones come by themselves when they are first used.
enum class ModuleState { unknown, present, loadable };

struct Cgroup2Mount {
  std::string mount_point;  // "/sys/fs/cgroup", "/sys/fs/cgroup/unified"
  bool hybrid = false;      // version 1 hierarchies are mounted as well
};

struct NodeFacts {
  std::uint64_t effective_capabilities = 0;  // bit numbers as in capabilities(7)
  unsigned effective_uid = 0;
  bool initial_user_namespace = true;  // elsewhere, capabilities do not count for BPF
  bool seccomp_filter = false;
  std::string
      lockdown;  // "none", "integrity", "confidentiality"; empty: the kernel has no lockdown
  std::optional<int>
      unprivileged_bpf_disabled;   // 0, 1, 2; empty: the kernel was built without bpf()
  std::optional<int> jit_enabled;  // 0, 1, 2; empty: can't be read
  bool modules_disabled = false;
  bool btf = false;  // the kernel describes its own types
  std::optional<Cgroup2Mount> cgroup2;

  bool has_capability(int number) const { return (effective_capabilities >> number & 1U) != 0; }
};

// `root` is put in front of every path: "" on a node, a folder in tests. What can't be read is left
// at its default.
NodeFacts read_node_facts(const std::string& root);

// `release` as uname(2) has it. Unknown where the node keeps no module lists (containers, kernels
// in one piece).
ModuleState module_state(const std::string& root, const std::string& release,
                         std::string_view module);

// The cgroup2 mount in the text of /proc/self/mountinfo.
std::optional<Cgroup2Mount> find_cgroup2(std::string_view mountinfo);

}  // namespace holdfast::agent::kernel
