#include "agent/doctor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/capability.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <system_error>
#include <utility>

#include "common/plan.h"

namespace holdfast::agent {

namespace {

using kernel::Availability;
using kernel::BpfRefusal;
using kernel::Feature;
using kernel::Features;

// Map memory that the largest rule table takes, where the kernel charges it to RLIMIT_MEMLOCK.
constexpr std::uint64_t kMemlockNeeded = 64ULL * 1024 * 1024;

Finding ok(std::string id, std::string title, std::string found) {
  return Finding{.id = std::move(id),
                 .title = std::move(title),
                 .status = FindingStatus::ok,
                 .found = std::move(found)};
}

bool is_missing(const Features& features, std::string_view capability) {
  return std::ranges::find(features.missing_capabilities, capability) !=
         features.missing_capabilities.end();
}

Finding privileges(const Features& features) {
  const std::string names = fmt::format("{}", fmt::join(features.missing_capabilities, ", "));
  const bool is_root = features.node.effective_uid == 0;
  Finding finding = ok(
      "privileges", "privileges",
      fmt::format("uid {}, every capability that experiments need", features.node.effective_uid));
  if (names.empty()) {
    return finding;
  }
  if (is_root) {
    finding.found = "root without " + names;
  } else if (is_missing(features, "CAP_NET_ADMIN") && is_missing(features, "CAP_BPF")) {
    finding.found = fmt::format("not root (uid {})", features.node.effective_uid);
  } else {
    finding.found =
        fmt::format("not root (uid {}), without {}", features.node.effective_uid, names);
  }
  if (is_missing(features, "CAP_NET_ADMIN") || is_missing(features, "CAP_BPF")) {
    finding.status = FindingStatus::missing;
    finding.consequence = "no fault can be injected";
    finding.cure = is_root ? "give the container or service these capabilities"
                           : "run it as root, for example by sudo";
    return finding;
  }
  finding.status = FindingStatus::degraded;
  finding.consequence = is_missing(features, "CAP_SYS_ADMIN")
                            ? "targets and probes in other network namespaces can't be reached"
                            : "the kernel checks programs more strictly and may refuse them";
  finding.cure = "run it as root where that matters";
  return finding;
}

// What a refusal of bpf(2) is called, what it needs, in that order.
std::pair<std::string, std::string> describe_refusal(const Features& features) {
  switch (features.bpf_refusal) {
    case BpfRefusal::not_built_in:
      return {"no BPF: this kernel was built without bpf()",
              "boot a kernel with CONFIG_BPF_SYSCALL=y"};
    case BpfRefusal::missing_capability:
      return {"BPF refused: CAP_BPF and CAP_NET_ADMIN are needed",
              "run it as root, for example by sudo"};
    case BpfRefusal::user_namespace:
      return {"BPF refused: root of a user namespace, not of the host",
              "run it outside of the user namespace (rootless containers have one)"};
    case BpfRefusal::seccomp:
      return {"BPF refused by a seccomp filter",
              "allow bpf() in the seccomp profile of the container runtime or the service"};
    case BpfRefusal::lockdown:
      return {fmt::format("BPF refused by kernel lockdown ({})", features.node.lockdown),
              "boot without lockdown= (it may come with Secure Boot)"};
    case BpfRefusal::none:
    case BpfRefusal::unexplained:
      break;
  }
  return {fmt::format("BPF refused: {}", std::generic_category().message(features.bpf_errno)),
          "look for a denial of the security module (SELinux, AppArmor) in the kernel log"};
}

Finding bpf(const Features& features) {
  if (features.bpf.yes()) {
    return ok("bpf", "BPF", "bpf() can be used");
  }
  auto [found, cure] = describe_refusal(features);
  return Finding{.id = "bpf",
                 .title = "BPF",
                 .status = FindingStatus::missing,
                 .found = std::move(found),
                 .consequence = "no fault can be injected",
                 .cure = std::move(cure)};
}

// Things that every fault's program is made of. Who lacks the privilege to try them has been told
// so already.
void add_required(const Features& features, bool privileged, std::vector<Finding>& findings) {
  struct Required {
    const char* id;
    const char* title;
    const Feature& feature;
    const char* cure;
  };
  const std::array required{
      Required{"sched-cls", "packet programs", features.sched_cls,
               "boot a kernel with CONFIG_NET_CLS_ACT=y"},
      Required{"lpm-trie", "prefix maps", features.lpm_trie,
               "boot a kernel that has BPF_MAP_TYPE_LPM_TRIE"},
      Required{"mappable-array", "mappable maps", features.mappable_array,
               "boot a kernel that has BPF_F_MMAPABLE"},
      Required{"bpf-loop", "bpf_loop", features.bpf_loop, "boot a kernel that has bpf_loop()"},
      Required{"coarse-clock", "coarse clock", features.coarse_clock,
               "boot a kernel that has bpf_ktime_get_coarse_ns()"},
  };
  for (const Required& item : required) {
    const bool refused = item.feature.state == Availability::unknown && privileged &&
                         features.bpf.yes() && !item.feature.detail.empty();
    if (item.feature.yes()) {
      findings.push_back(ok(item.id, item.title, "there"));
    } else if (item.feature.state == Availability::no || refused) {
      findings.push_back(Finding{
          .id = item.id,
          .title = item.title,
          .status = FindingStatus::missing,
          .found = fmt::format("{}: {} ({})", item.title,
                               refused ? "refused" : "not in this kernel", item.feature.detail),
          .consequence = "the programs of the faults can't be loaded",
          .cure =
              refused
                  ? "look for a denial of the security module (SELinux, AppArmor) in the kernel log"
                  : item.cure});
    }
  }
}

Finding attach(const Features& features) {
  Finding finding = ok("attach", "attaching", "tcx: the kernel removes faults with their process");
  if (features.tcx.yes()) {
    return finding;
  }
  if (features.clsact.yes()) {
    finding.status = FindingStatus::degraded;
    finding.found = fmt::format("no tcx ({})", features.tcx.detail);
    finding.consequence = "a filter outlives a killed agent, without effect once its lease is over";
    finding.cure = "filters on clsact are used; the next run sweeps what was left";
    return finding;
  }
  if (features.tcx.state == Availability::unknown ||
      features.clsact.state == Availability::unknown) {
    finding.status = FindingStatus::degraded;
    finding.found = fmt::format("could not be tried ({})", features.tcx.detail);
    finding.consequence = "whether faults can be attached will show when one is";
    finding.cure = "tcx is tried first, then clsact";
    return finding;
  }
  finding.status = FindingStatus::missing;
  finding.found =
      fmt::format("neither tcx ({}) nor clsact ({})", features.tcx.detail, features.clsact.detail);
  finding.consequence = "no program can be put into the path of packets";
  finding.cure = "load or build in sch_ingress and cls_bpf";
  return finding;
}

// By what packets are delayed, and why by that.
Finding delay(const Features& features) {
  if (features.tun.state == Availability::no) {
    return Finding{
        .id = "delay",
        .title = "delays",
        .status = FindingStatus::degraded,
        .found = fmt::format("no TUN/TAP ({})", features.tun.detail),
        .consequence = "latency, bandwidth, reorder and wrong checksums can't be injected",
        .cure = "modprobe tun; in a container: let it have /dev/net/tun"};
  }
  return ok(
      "delay", "delays",
      fmt::format("by the delay line on a TAP, in order and without a change of qdiscs; netem is "
                  "{} and not needed",
                  features.netem.yes() ? "there" : "absent"));
}

Finding btf(const Features& features) {
  if (features.node.btf) {
    return ok("btf", "BTF", "/sys/kernel/btf/vmlinux");
  }
  return Finding{
      .id = "btf",
      .title = "BTF",
      .status = FindingStatus::degraded,
      .found = "no BTF: the kernel does not describe its types",
      .consequence = "none for the faults of this version: their programs read no kernel structure",
      .cure = "nothing to be done; tools that look into programs show less"};
}

std::optional<Finding> jit(const Features& features) {
  if (!features.node.jit_enabled) {
    return std::nullopt;  // only the initial network namespace shows it
  }
  if (*features.node.jit_enabled != 0) {
    return ok("jit", "BPF compiler", "on");
  }
  return Finding{.id = "jit",
                 .title = "BPF compiler",
                 .status = FindingStatus::degraded,
                 .found = "off (net.core.bpf_jit_enable = 0)",
                 .consequence =
                     "programs are interpreted: every packet on a target's interfaces costs "
                     "several times more",
                 .cure = "sysctl -w net.core.bpf_jit_enable=1"};
}

std::optional<Finding> memlock(const Features& features) {
  // The kernel that got this helper also stopped charging maps to RLIMIT_MEMLOCK.
  if (features.coarse_clock.state != Availability::no) {
    return std::nullopt;
  }
  const bool unlimited =
      features.memlock_bytes >= kMemlockNeeded || features.node.has_capability(CAP_SYS_RESOURCE);
  if (unlimited) {
    return ok("memlock", "locked memory", "enough, or can be raised");
  }
  return Finding{.id = "memlock",
                 .title = "locked memory",
                 .status = FindingStatus::degraded,
                 .found = fmt::format("limited to {} KiB, and CAP_SYS_RESOURCE is missing",
                                      features.memlock_bytes / 1024),
                 .consequence = "plans with many addresses may not fit",
                 .cure = "ulimit -l unlimited, or LimitMEMLOCK=infinity in the service"};
}

std::optional<Finding> clock_tick(const Features& features) {
  if (features.tick_ns == 0) {
    return std::nullopt;
  }
  return ok(
      "tick", "clock tick",
      fmt::format("{:g} ms: how exactly faults end", static_cast<double>(features.tick_ns) / 1e6));
}

Finding cgroup2(const Features& features) {
  if (!features.node.cgroup2) {
    return ok("cgroup2", "cgroup2", "not mounted; no fault of this version needs it");
  }
  return ok("cgroup2", "cgroup2",
            features.node.cgroup2->mount_point +
                (features.node.cgroup2->hybrid ? " (version 1 is mounted as well)" : ""));
}

// What is reported for the record: no fault of this version needs it, so its absence degrades
// nothing.
void add_optional(const Features& features, std::vector<Finding>& findings) {
  struct Optional {
    const char* id;
    const char* title;
    const Feature& feature;
  };
  const std::array optional{
      Optional{"netem", "netem", features.netem},
      Optional{"ifb", "ifb", features.ifb},
      Optional{"nf-tables", "nf_tables", features.nf_tables},
  };
  for (const Optional& item : optional) {
    if (item.feature.state == Availability::unknown) {
      continue;
    }
    if (item.feature.yes()) {
      findings.push_back(
          ok(item.id, item.title, item.feature.detail.empty() ? "there" : item.feature.detail));
    } else {
      findings.push_back(ok(item.id, item.title, "absent; no fault of this version needs it"));
    }
  }
}

std::vector<std::string> fault_names(const Features& features) {
  using plan::FaultKind;
  std::vector<FaultKind> kinds = {FaultKind::noop, FaultKind::blackhole, FaultKind::loss,
                                  FaultKind::dns,  FaultKind::duplicate, FaultKind::corrupt};
  if (features.tun.state != Availability::no) {
    kinds.insert(kinds.end(), {FaultKind::reorder, FaultKind::latency, FaultKind::bandwidth});
  }
  std::vector<std::string> names;
  names.reserve(kinds.size());
  for (const FaultKind kind : kinds) {
    names.emplace_back(plan::to_string(kind));
  }
  return names;
}

}  // namespace

std::string_view to_string(FindingStatus status) {
  switch (status) {
    case FindingStatus::ok:
      return "ok";
    case FindingStatus::degraded:
      return "degraded";
    case FindingStatus::missing:
      return "missing";
  }
  return "missing";
}

Examination examine(const Features& features) {
  Examination examination;
  std::vector<Finding>& findings = examination.findings;
  findings.push_back(privileges(features));
  const bool privileged = findings.back().status != FindingStatus::missing;
  // Who lacks the privilege gets one line that says so, not one for everything the kernel then
  // refuses.
  if (privileged || features.bpf_refusal == BpfRefusal::not_built_in) {
    findings.push_back(bpf(features));
  }
  add_required(features, privileged, findings);
  if (privileged && features.bpf.yes()) {
    findings.push_back(attach(features));
    findings.push_back(delay(features));
  }
  findings.push_back(btf(features));
  for (auto& finding : {jit(features), memlock(features), clock_tick(features)}) {
    if (finding) {
      findings.push_back(*finding);
    }
  }
  findings.push_back(cgroup2(features));
  add_optional(features, findings);

  const auto missing = std::ranges::find(findings, FindingStatus::missing, &Finding::status);
  examination.can_inject = missing == findings.end();
  if (examination.can_inject) {
    examination.mechanism = features.attach_mechanism();
    examination.faults = fault_names(features);
    examination.verdict = fmt::format(
        "this node can inject {}{}{}",
        features.tun.state == Availability::no ? "all faults but those of the delay line"
                                               : "all faults",
        examination.mechanism.empty() ? "" : " by ", examination.mechanism);
  } else {
    examination.verdict = fmt::format("this node can't inject: {}", missing->found);
  }
  return examination;
}

Result<void> require_usable(const Features& features) {
  const Examination examination = examine(features);
  const auto missing =
      std::ranges::find(examination.findings, FindingStatus::missing, &Finding::status);
  if (missing == examination.findings.end()) {
    return {};
  }
  const bool refused = missing->id == "privileges" ||
                       (missing->id == "bpf" && features.bpf_refusal != BpfRefusal::not_built_in);
  return fail(refused ? ErrorKind::permission : ErrorKind::unsupported, missing->found,
              missing->cure);
}

}  // namespace holdfast::agent
