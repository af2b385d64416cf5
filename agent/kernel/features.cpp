#include "agent/kernel/features.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <limits>
#include <utility>

#include "agent/kernel/kernel_trials.h"

namespace holdfast::agent::kernel {

namespace {

bool may_use_bpf(const NodeFacts& node) {
  return node.has_capability(CAP_BPF) || node.has_capability(CAP_SYS_ADMIN);
}

std::uint64_t memlock_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
    return 0;
  }
  return limit.rlim_cur == RLIM_INFINITY ? std::numeric_limits<std::uint64_t>::max()
                                         : limit.rlim_cur;
}

// The kernel reports one tick as the coarse clock's resolution: HZ without reading its
// configuration.
std::uint64_t tick() {
  timespec resolution{};
  if (::clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) != 0) {
    return 0;
  }
  return static_cast<std::uint64_t>(resolution.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(resolution.tv_nsec);
}

// Answers for what lives in a module that is not loaded: asking the kernel would load it, and
// doctor changes nothing.
class ModuleAnswers {
 public:
  ModuleAnswers(std::string root, std::string release, bool modules_disabled)
      : root_(std::move(root)), release_(std::move(release)), modules_disabled_(modules_disabled) {}

  // True where `feature` got its answer from the module lists and must not be tried.
  bool settle(std::string_view module, Feature& feature) const {
    if (module_state(root_, release_, module) != ModuleState::loadable) {
      return false;
    }
    const std::string name(module);
    feature = modules_disabled_
                  ? Feature{Availability::no,
                            "module " + name + " is not loaded, and kernel.modules_disabled is set"}
                  : Feature{Availability::yes, "module " + name + ", loaded at its first use"};
    return true;
  }

 private:
  std::string root_;
  std::string release_;
  bool modules_disabled_;
};

void probe_namespace_features(const std::string& root, Features& features) {
  const ModuleAnswers modules(root, features.release, features.node.modules_disabled);
  Feature clsact, netem, ifb, tun, nf_tables;
  // A clsact qdisc is of no use without its filter: both modules count.
  NamespaceTrialChoice choice;
  choice.clsact = !modules.settle("sch_ingress", clsact) && !modules.settle("cls_bpf", clsact);
  choice.netem = !modules.settle("sch_netem", netem);
  choice.ifb = !modules.settle("ifb", ifb);
  choice.tun = !modules.settle("tun", tun);
  choice.nf_tables = !modules.settle("nf_tables", nf_tables);

  NamespaceTrials trials = try_in_own_namespace(choice);
  features.tcx = std::move(trials.tcx);
  features.clsact = choice.clsact ? std::move(trials.clsact) : std::move(clsact);
  features.netem = choice.netem ? std::move(trials.netem) : std::move(netem);
  features.ifb = choice.ifb ? std::move(trials.ifb) : std::move(ifb);
  features.tun = choice.tun ? std::move(trials.tun) : std::move(tun);
  features.nf_tables = choice.nf_tables ? std::move(trials.nf_tables) : std::move(nf_tables);
}

}  // namespace

std::string_view Features::attach_mechanism() const {
  if (tcx.yes()) {
    return "tcx";
  }
  return clsact.yes() ? "clsact" : "";
}

std::vector<std::string> missing_capabilities(const NodeFacts& node) {
  constexpr std::array<std::pair<int, const char*>, 4> kNeeded{{
      {CAP_NET_ADMIN, "CAP_NET_ADMIN"},
      {CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
      {CAP_BPF, "CAP_BPF"},
      {CAP_PERFMON, "CAP_PERFMON"},
  }};
  std::vector<std::string> missing;
  for (const auto& [number, name] : kNeeded) {
    const bool included =
        (number == CAP_BPF || number == CAP_PERFMON) && node.has_capability(CAP_SYS_ADMIN);
    if (!node.has_capability(number) && !included) {
      missing.emplace_back(name);
    }
  }
  return missing;
}

BpfRefusal explain_refusal(int bpf_errno, const NodeFacts& node) {
  if (bpf_errno == 0) {
    return BpfRefusal::none;
  }
  if (bpf_errno == ENOSYS) {
    // Some container runtimes answer ENOSYS to what they filter. The sysctl is there where bpf()
    // was built in.
    return node.seccomp_filter && node.unprivileged_bpf_disabled ? BpfRefusal::seccomp
                                                                 : BpfRefusal::not_built_in;
  }
  if (bpf_errno != EPERM && bpf_errno != EACCES) {
    return BpfRefusal::unexplained;
  }
  if (!may_use_bpf(node) || !node.has_capability(CAP_NET_ADMIN)) {
    return BpfRefusal::missing_capability;
  }
  if (!node.initial_user_namespace) {
    return BpfRefusal::user_namespace;
  }
  // A filter is the likelier cause: lockdown as merged into the kernel leaves loading alone,
  // distributions' own does not.
  if (node.seccomp_filter) {
    return BpfRefusal::seccomp;
  }
  const bool locked_down = node.lockdown == "confidentiality" || node.lockdown == "integrity";
  return locked_down ? BpfRefusal::lockdown : BpfRefusal::unexplained;
}

Features probe_features(const std::string& root) {
  Features features;
  utsname system{};
  if (::uname(&system) == 0) {
    features.release = system.release;
  }
  features.node = read_node_facts(root);
  features.missing_capabilities = missing_capabilities(features.node);
  features.memlock_bytes = memlock_limit();
  features.tick_ns = tick();

  BpfTrials bpf = try_bpf();
  features.bpf_errno = bpf.bpf_errno;
  features.bpf_refusal = explain_refusal(bpf.bpf_errno, features.node);
  features.bpf.state = bpf.bpf_errno == 0 ? Availability::yes : Availability::no;
  features.sched_cls = std::move(bpf.sched_cls);
  features.lpm_trie = std::move(bpf.lpm_trie);
  features.mappable_array = std::move(bpf.mappable_array);
  features.bpf_loop = std::move(bpf.bpf_loop);
  features.coarse_clock = std::move(bpf.coarse_clock);
  probe_namespace_features(root, features);
  return features;
}

const Features& host_features() {
  static const Features features = probe_features();
  return features;
}

}  // namespace holdfast::agent::kernel
