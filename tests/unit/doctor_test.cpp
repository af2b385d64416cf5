// What the doctor makes of features, and how it is shown.
#include "agent/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/doctor_report.h"

namespace holdfast::agent {
namespace {

using kernel::Availability;
using kernel::BpfRefusal;
using kernel::Feature;
using kernel::Features;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr Availability kYes = Availability::yes;
constexpr Availability kNo = Availability::no;

// A node on which everything is there.
Features perfect_node() {
  Features features;
  features.release = "6.18.0";
  features.node.effective_capabilities = ~0ULL;
  features.node.unprivileged_bpf_disabled = 2;
  features.node.jit_enabled = 1;
  features.node.btf = true;
  features.node.cgroup2 = kernel::Cgroup2Mount{.mount_point = "/sys/fs/cgroup"};
  for (Feature* feature :
       {&features.bpf, &features.sched_cls, &features.lpm_trie, &features.mappable_array,
        &features.bpf_loop, &features.coarse_clock, &features.tcx, &features.clsact,
        &features.netem, &features.ifb, &features.tun, &features.nf_tables}) {
    feature->state = kYes;
  }
  features.tick_ns = 4'000'000;
  return features;
}

// An ordinary user, as probe_features() reports one.
Features ordinary_user() {
  Features features = perfect_node();
  features.node.effective_uid = 1000;
  features.node.effective_capabilities = 0;
  features.missing_capabilities = kernel::missing_capabilities(features.node);
  features.bpf_errno = EPERM;
  features.bpf_refusal = kernel::explain_refusal(EPERM, features.node);
  for (Feature* feature :
       {&features.sched_cls, &features.lpm_trie, &features.mappable_array, &features.bpf_loop,
        &features.coarse_clock, &features.tcx, &features.clsact, &features.netem, &features.ifb,
        &features.tun, &features.nf_tables}) {
    feature->state = Availability::unknown;
  }
  features.bpf.state = kNo;
  return features;
}

const Finding* find(const Examination& examination, const std::string& id) {
  const auto found = std::ranges::find(examination.findings, id, &Finding::id);
  return found == examination.findings.end() ? nullptr : &*found;
}

std::size_t count(const Examination& examination, FindingStatus status) {
  return static_cast<std::size_t>(
      std::ranges::count(examination.findings, status, &Finding::status));
}

TEST(Doctor, PerfectNodeInjectsByTcx) {
  const Examination examination = examine(perfect_node());
  EXPECT_TRUE(examination.can_inject);
  EXPECT_EQ(examination.mechanism, "tcx");
  EXPECT_THAT(examination.faults, ElementsAre("noop", "blackhole", "loss", "dns", "duplicate",
                                              "corrupt", "reorder", "latency", "bandwidth"));
  EXPECT_EQ(examination.verdict, "this node can inject all faults by tcx");
  EXPECT_EQ(count(examination, FindingStatus::ok), examination.findings.size());
  EXPECT_TRUE(require_usable(perfect_node()).has_value());
}

TEST(Doctor, WithoutTcxClsactIsUsedAndSaidSo) {
  Features features = perfect_node();
  features.tcx = {kNo, "link create: Invalid argument"};
  const Examination examination = examine(features);
  EXPECT_TRUE(examination.can_inject);
  EXPECT_EQ(examination.mechanism, "clsact");
  const Finding* attach = find(examination, "attach");
  ASSERT_NE(attach, nullptr);
  EXPECT_EQ(attach->status, FindingStatus::degraded);
  EXPECT_THAT(attach->found, HasSubstr("link create: Invalid argument"));
  EXPECT_THAT(attach->consequence, HasSubstr("outlives a killed agent"));
  EXPECT_THAT(attach->cure, HasSubstr("clsact"));
}

TEST(Doctor, NeitherTcxNorClsactIsMissing) {
  Features features = perfect_node();
  features.tcx = {kNo, "link create: Invalid argument"};
  features.clsact = {kNo, "clsact qdisc: No such file or directory"};
  const Examination examination = examine(features);
  EXPECT_FALSE(examination.can_inject);
  EXPECT_THAT(examination.mechanism, IsEmpty());
  EXPECT_THAT(examination.faults, IsEmpty());
  const auto usable = require_usable(features);
  ASSERT_FALSE(usable.has_value());
  EXPECT_EQ(usable.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(usable.error().message, HasSubstr("neither tcx"));
  EXPECT_THAT(usable.error().cure, HasSubstr("cls_bpf"));
}

TEST(Doctor, OrdinaryUserIsToldInOneLine) {
  const Examination examination = examine(ordinary_user());
  EXPECT_EQ(count(examination, FindingStatus::missing), 1U) << "the cause, not each of its effects";
  EXPECT_EQ(examination.verdict, "this node can't inject: not root (uid 1000)");
  const auto usable = require_usable(ordinary_user());
  ASSERT_FALSE(usable.has_value());
  EXPECT_EQ(usable.error().kind, ErrorKind::permission);
  EXPECT_EQ(usable.error().message, "not root (uid 1000)");
  EXPECT_THAT(usable.error().cure, HasSubstr("root"));
}

TEST(Doctor, RootThatLacksACapabilityIsToldWhich) {
  Features features = ordinary_user();
  features.node.effective_uid = 0;
  features.node.effective_capabilities = 1ULL << CAP_SYS_ADMIN;
  features.missing_capabilities = kernel::missing_capabilities(features.node);
  const auto usable = require_usable(features);
  ASSERT_FALSE(usable.has_value());
  EXPECT_EQ(usable.error().message, "root without CAP_NET_ADMIN");
}

TEST(Doctor, WithoutSysAdminOnlyOtherNamespacesAreOutOfReach) {
  Features features = perfect_node();
  features.node.effective_capabilities &= ~(1ULL << CAP_SYS_ADMIN);
  features.missing_capabilities = kernel::missing_capabilities(features.node);
  features.tcx.state = features.clsact.state =
      Availability::unknown;  // no namespace to try them in
  const Examination examination = examine(features);
  EXPECT_TRUE(examination.can_inject);
  const Finding* privileges = find(examination, "privileges");
  ASSERT_NE(privileges, nullptr);
  EXPECT_EQ(privileges->status, FindingStatus::degraded);
  EXPECT_THAT(privileges->consequence, HasSubstr("other network namespaces"));
  ASSERT_NE(find(examination, "attach"), nullptr);
  EXPECT_EQ(find(examination, "attach")->status, FindingStatus::degraded);
}

struct RefusalCase {
  BpfRefusal refusal;
  std::string words;
  ErrorKind kind;
};

TEST(Doctor, EveryRefusalOfBpfHasItsOwnWords) {
  const std::vector<RefusalCase> cases{
      {BpfRefusal::not_built_in, "no BPF", ErrorKind::unsupported},
      {BpfRefusal::user_namespace, "user namespace", ErrorKind::permission},
      {BpfRefusal::seccomp, "seccomp", ErrorKind::permission},
      {BpfRefusal::lockdown, "lockdown", ErrorKind::permission},
      {BpfRefusal::unexplained, "Operation not permitted", ErrorKind::permission},
  };
  for (const RefusalCase& expected : cases) {
    Features features = perfect_node();
    features.bpf.state = kNo;
    features.bpf_errno = EPERM;
    features.bpf_refusal = expected.refusal;
    const auto usable = require_usable(features);
    ASSERT_FALSE(usable.has_value()) << expected.words;
    EXPECT_EQ(usable.error().kind, expected.kind) << expected.words;
    EXPECT_THAT(usable.error().message, HasSubstr(expected.words));
    EXPECT_THAT(usable.error().message, Not(HasSubstr("\n")));
    EXPECT_THAT(usable.error().cure, Not(IsEmpty())) << expected.words;
  }
}

TEST(Doctor, EachPartOfTheProgramsIsRequired) {
  const std::vector<std::pair<std::string, Feature Features::*>> parts{
      {"sched-cls", &Features::sched_cls},           {"lpm-trie", &Features::lpm_trie},
      {"mappable-array", &Features::mappable_array}, {"bpf-loop", &Features::bpf_loop},
      {"coarse-clock", &Features::coarse_clock},
  };
  for (const auto& [id, part] : parts) {
    Features features = perfect_node();
    features.*part = {kNo, "program load: Invalid argument"};
    const Examination examination = examine(features);
    EXPECT_FALSE(examination.can_inject) << id;
    ASSERT_NE(find(examination, id), nullptr) << id;
    EXPECT_EQ(find(examination, id)->status, FindingStatus::missing) << id;
  }
}

TEST(Doctor, ProgramsThatASecurityModuleRefusesAreMissing) {
  Features features = perfect_node();
  features.sched_cls = {Availability::unknown, "program load: Operation not permitted"};
  features.bpf_loop = features.coarse_clock = {};  // not tried then
  const auto usable = require_usable(features);
  ASSERT_FALSE(usable.has_value());
  EXPECT_THAT(usable.error().message, HasSubstr("packet programs: refused"));
  EXPECT_THAT(usable.error().cure, HasSubstr("security module"));
}

TEST(Doctor, MissingBtfIsNamedAndHarmless) {
  Features features = perfect_node();
  features.node.btf = false;
  const Examination examination = examine(features);
  EXPECT_TRUE(examination.can_inject);
  ASSERT_NE(find(examination, "btf"), nullptr);
  EXPECT_EQ(find(examination, "btf")->status, FindingStatus::degraded);
  EXPECT_THAT(find(examination, "btf")->found, HasSubstr("no BTF"));
}

TEST(Doctor, CompilerThatIsOffDegrades) {
  Features features = perfect_node();
  features.node.jit_enabled = 0;
  const Examination off = examine(features);
  ASSERT_NE(find(off, "jit"), nullptr);
  EXPECT_EQ(find(off, "jit")->status, FindingStatus::degraded);
  features.node.jit_enabled.reset();
  EXPECT_EQ(find(examine(features), "jit"), nullptr) << "nothing is said where nothing is known";
}

TEST(Doctor, LockedMemoryMattersOnlyWhereItIsCharged) {
  Features features = perfect_node();
  features.memlock_bytes = 65536;
  EXPECT_EQ(find(examine(features), "memlock"), nullptr);
  features.coarse_clock = {kNo, "program load: Invalid argument"};
  features.node.effective_capabilities &= ~(1ULL << CAP_SYS_RESOURCE);
  const Examination charged = examine(features);
  ASSERT_NE(find(charged, "memlock"), nullptr);
  EXPECT_EQ(find(charged, "memlock")->status, FindingStatus::degraded);
  EXPECT_THAT(find(charged, "memlock")->found, HasSubstr("64 KiB"));
}

TEST(Doctor, WhatNoFaultNeedsDegradesNothing) {
  Features features = perfect_node();
  for (Feature* feature : {&features.netem, &features.ifb, &features.nf_tables}) {
    *feature = {kNo, "No such file or directory"};
  }
  features.node.cgroup2.reset();
  const Examination examination = examine(features);
  EXPECT_EQ(count(examination, FindingStatus::ok), examination.findings.size());
}

TEST(Doctor, WithoutTunAllThatNeedsNoLineCanBeInjected) {
  Features features = perfect_node();
  features.tun = {kNo, "/dev/net/tun: No such file or directory"};
  const Examination examination = examine(features);
  EXPECT_TRUE(examination.can_inject);
  EXPECT_EQ(examination.verdict,
            "this node can inject all faults but those of the delay line by tcx");
  EXPECT_EQ(find(examination, "delay")->status, FindingStatus::degraded);
  EXPECT_THAT(find(examination, "delay")->cure, HasSubstr("modprobe tun"));
}

TEST(Doctor, EveryFindingThatIsNotOkSaysWhatItMeansAndWhatToDo) {
  Features features = perfect_node();
  features.node.btf = false;
  features.node.jit_enabled = 0;
  features.tcx = features.clsact = features.bpf_loop = {kNo, "x"};
  for (const Examination& examination : {examine(features), examine(ordinary_user())}) {
    for (const Finding& finding : examination.findings) {
      if (finding.status != FindingStatus::ok) {
        EXPECT_THAT(finding.consequence, Not(IsEmpty())) << finding.id;
        EXPECT_THAT(finding.cure, Not(IsEmpty())) << finding.id;
      }
      EXPECT_LE(finding.title.size(), 18U) << finding.id << " would run into the next column";
    }
  }
}

TEST(DoctorReport, TableKeepsTo80ColumnsAndEndsWithTheVerdict) {
  Features features = perfect_node();
  features.tcx = {kNo, "link create: Invalid argument"};
  features.node.jit_enabled = 0;
  const std::string table = cli::doctor_table(examine(features), false);
  EXPECT_THAT(table, Not(HasSubstr("\033")));
  EXPECT_THAT(table, HasSubstr("degraded  attaching"));
  EXPECT_TRUE(table.ends_with("\n\nverdict: this node can inject all faults by clsact\n")) << table;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 80U) << line;
  }
}

TEST(DoctorReport, ColourOnlyWhenAsked) {
  EXPECT_THAT(cli::doctor_table(examine(perfect_node()), true), HasSubstr("\033[32mok"));
}

TEST(DoctorReport, JsonHasEveryFinding) {
  const Examination examination = examine(ordinary_user());
  const auto document = nlohmann::json::parse(cli::doctor_json(examination, "6.1"));
  EXPECT_EQ(document.at("schema"), "holdfast.doctor/v1");
  EXPECT_EQ(document.at("can_inject"), false);
  EXPECT_EQ(document.at("findings").size(), examination.findings.size());
  EXPECT_EQ(document.at("findings").at(0).at("id"), "privileges");
  EXPECT_EQ(document.at("findings").at(0).at("status"), "missing");
}

}  // namespace
}  // namespace holdfast::agent
