#include "agent/kernel/node_facts.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace holdfast::agent::kernel {

namespace {

// Files of /proc and /sys: of no known size, and read whole. Empty where it can't be read. (An
// iterator over the stream would throw where read() fails; this operator only ends.)
std::string slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

template <class Number>
std::optional<Number> parse_number(std::string_view text, int base = 10) {
  const auto start = text.find_first_not_of(" \t");
  if (start == std::string_view::npos) {
    return std::nullopt;
  }
  text.remove_prefix(start);
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

// The rest of the line "<key>:<value>" of /proc/self/status.
std::string_view status_value(std::string_view status, std::string_view key) {
  while (!status.empty()) {
    const std::string_view line = status.substr(0, status.find('\n'));
    if (line.starts_with(key) && line.substr(key.size()).starts_with(':')) {
      return line.substr(key.size() + 1);
    }
    status.remove_prefix(std::min(status.size(), line.size() + 1));
  }
  return {};
}

// "Uid:\treal\teffective\tsaved\tfilesystem"
unsigned effective_uid(std::string_view status) {
  std::istringstream numbers{std::string(status_value(status, "Uid"))};
  unsigned real = 0;
  unsigned effective = 0;
  numbers >> real >> effective;
  return effective;
}

// "none [integrity] confidentiality": the one in brackets is in force.
std::string bracketed_word(std::string_view text) {
  const auto open = text.find('[');
  const auto close = text.find(']');
  return open == std::string_view::npos || close == std::string_view::npos || close < open
             ? std::string()
             : std::string(text.substr(open + 1, close - open - 1));
}

// The initial user namespace maps every id to itself.
bool is_identity_map(const std::string& uid_map) {
  if (uid_map.empty()) {
    return true;  // a kernel without user namespaces
  }
  std::istringstream fields(uid_map);
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t length = 0;
  fields >> inside >> outside >> length;
  return inside == 0 && outside == 0 && length == 0xffffffffU;
}

// mountinfo writes blanks, tabs, line ends and backslashes as \ooo.
std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      if (const auto code = parse_number<unsigned>(text.substr(i + 1, 3), 8)) {
        plain += static_cast<char>(*code);
        i += 3;
        continue;
      }
    }
    plain += text[i];
  }
  return plain;
}

// Whether a line of modules.dep or modules.builtin is about `module`:
// "kernel/net/sched/sch_netem.ko.xz: …".
bool lists_module(const std::string& list_path, std::string_view module) {
  std::ifstream list(list_path);
  const std::string file_name = "/" + std::string(module) + ".ko";
  for (std::string line; std::getline(list, line);) {
    const std::string_view path = std::string_view(line).substr(0, line.find(':'));
    if (path.find(file_name) != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::optional<Cgroup2Mount> find_cgroup2(std::string_view mountinfo) {
  std::optional<Cgroup2Mount> mount;
  bool version1 = false;
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    // The number of optional fields varies; " - " ends them (proc(5)).
    const auto separator = line.find(" - ");
    if (separator == std::string::npos) {
      continue;
    }
    std::istringstream before(line.substr(0, separator));
    std::istringstream after(line.substr(separator + 3));
    std::string skipped;
    std::string mount_point;
    std::string type;
    before >> skipped >> skipped >> skipped >> skipped >> mount_point;
    after >> type;
    version1 = version1 || type == "cgroup";
    if (type == "cgroup2" && !mount) {
      mount = Cgroup2Mount{.mount_point = unescape(mount_point)};
    }
  }
  if (mount) {
    mount->hybrid = version1;
  }
  return mount;
}

NodeFacts read_node_facts(const std::string& root) {
  NodeFacts facts;
  const std::string status = slurp(root + "/proc/self/status");
  facts.effective_capabilities =
      parse_number<std::uint64_t>(status_value(status, "CapEff"), 16).value_or(0);
  facts.effective_uid = effective_uid(status);
  facts.seccomp_filter = parse_number<int>(status_value(status, "Seccomp")).value_or(0) == 2;
  facts.initial_user_namespace = is_identity_map(slurp(root + "/proc/self/uid_map"));
  facts.lockdown = bracketed_word(slurp(root + "/sys/kernel/security/lockdown"));
  facts.unprivileged_bpf_disabled =
      parse_number<int>(slurp(root + "/proc/sys/kernel/unprivileged_bpf_disabled"));
  facts.jit_enabled = parse_number<int>(slurp(root + "/proc/sys/net/core/bpf_jit_enable"));
  facts.modules_disabled =
      parse_number<int>(slurp(root + "/proc/sys/kernel/modules_disabled")).value_or(0) != 0;
  facts.cgroup2 = find_cgroup2(slurp(root + "/proc/self/mountinfo"));
  // Its size is not asked: sysfs reports it, a fake root may not; one readable byte is enough.
  facts.btf = std::ifstream(root + "/sys/kernel/btf/vmlinux", std::ios::binary).get() !=
              std::ifstream::traits_type::eof();
  return facts;
}

ModuleState module_state(const std::string& root, const std::string& release,
                         std::string_view module) {
  std::error_code ignored;
  if (std::filesystem::exists(root + "/sys/module/" + std::string(module), ignored)) {
    return ModuleState::present;
  }
  const std::string folder = root + "/lib/modules/" + release;
  if (lists_module(folder + "/modules.builtin", module)) {
    return ModuleState::present;
  }
  return lists_module(folder + "/modules.dep", module) ? ModuleState::loadable
                                                       : ModuleState::unknown;
}

}  // namespace holdfast::agent::kernel
