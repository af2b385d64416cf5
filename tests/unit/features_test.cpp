// What is read about a node from a (fake) file system, and what is concluded from it.
#include "agent/kernel/features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace holdfast::agent::kernel {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(ExplainRefusal, TellsTheCausesApart) {
  NodeFacts root;
  root.effective_capabilities = ~0ULL;
  root.unprivileged_bpf_disabled = 2;
  EXPECT_EQ(explain_refusal(0, root), BpfRefusal::none);
  EXPECT_EQ(explain_refusal(EPERM, root), BpfRefusal::unexplained);
  EXPECT_EQ(explain_refusal(ENOSYS, root), BpfRefusal::not_built_in);
  EXPECT_EQ(explain_refusal(EPERM, NodeFacts{}), BpfRefusal::missing_capability);

  NodeFacts filtered = root;
  filtered.seccomp_filter = true;
  EXPECT_EQ(explain_refusal(EPERM, filtered), BpfRefusal::seccomp);
  EXPECT_EQ(explain_refusal(ENOSYS, filtered), BpfRefusal::seccomp)
      << "the sysctl shows that the kernel has bpf()";
  filtered.unprivileged_bpf_disabled.reset();
  EXPECT_EQ(explain_refusal(ENOSYS, filtered), BpfRefusal::not_built_in);

  NodeFacts rootless = root;
  rootless.initial_user_namespace = false;
  EXPECT_EQ(explain_refusal(EPERM, rootless), BpfRefusal::user_namespace);

  NodeFacts locked = root;
  locked.lockdown = "confidentiality";
  EXPECT_EQ(explain_refusal(EPERM, locked), BpfRefusal::lockdown);
  locked.seccomp_filter = true;
  EXPECT_EQ(explain_refusal(EPERM, locked), BpfRefusal::seccomp) << "the likelier cause";
  locked.seccomp_filter = false;
  locked.lockdown = "none";
  EXPECT_EQ(explain_refusal(EPERM, locked), BpfRefusal::unexplained);
}

TEST(MissingCapabilities, SysAdminIncludesBpfAndPerfmon) {
  NodeFacts node;
  EXPECT_THAT(missing_capabilities(node),
              ElementsAre("CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_BPF", "CAP_PERFMON"));
  node.effective_capabilities = 1ULL << CAP_SYS_ADMIN;
  EXPECT_THAT(missing_capabilities(node), ElementsAre("CAP_NET_ADMIN"));
  node.effective_capabilities = 1ULL << CAP_NET_ADMIN | 1ULL << CAP_BPF;
  EXPECT_THAT(missing_capabilities(node), ElementsAre("CAP_SYS_ADMIN", "CAP_PERFMON"));
}

// A file system of a node, in a temporary folder.
class FakeNode : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "holdfast-node-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  std::string root_;
};

TEST_F(FakeNode, FactsAreReadBelowTheRoot) {
  write("/proc/self/status",
        "Name:\tx\nUid:\t1000\t7\t1000\t1000\nCapInh:\t0000000000000000\n"
        "CapEff:\t0000000000001000\nSeccomp:\t2\nSeccomp_filters:\t1\n");
  write("/proc/self/uid_map", "         0       1000          1\n");
  write("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  write("/proc/sys/kernel/unprivileged_bpf_disabled", "2\n");
  write("/proc/sys/kernel/modules_disabled", "1\n");
  write("/proc/sys/net/core/bpf_jit_enable", "0\n");
  write("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
  write("/sys/kernel/btf/vmlinux", "\x9f\xeb");

  const NodeFacts facts = read_node_facts(root_);
  EXPECT_EQ(facts.effective_uid, 7U);
  EXPECT_TRUE(facts.has_capability(CAP_NET_ADMIN));
  EXPECT_FALSE(facts.has_capability(CAP_BPF));
  EXPECT_TRUE(facts.seccomp_filter);
  EXPECT_FALSE(facts.initial_user_namespace);
  EXPECT_EQ(facts.unprivileged_bpf_disabled, 2);
  EXPECT_TRUE(facts.modules_disabled);
  EXPECT_EQ(facts.jit_enabled, 0);
  EXPECT_EQ(facts.lockdown, "integrity");
  EXPECT_TRUE(facts.btf);
  ASSERT_TRUE(facts.cgroup2.has_value());
  EXPECT_EQ(facts.cgroup2->mount_point, "/sys/fs/cgroup");
  EXPECT_FALSE(facts.cgroup2->hybrid);
}

TEST_F(FakeNode, AnEmptyRootClaimsNothing) {
  const NodeFacts facts = read_node_facts(root_);
  EXPECT_EQ(facts.effective_capabilities, 0U);
  EXPECT_TRUE(facts.initial_user_namespace);
  EXPECT_FALSE(facts.seccomp_filter);
  EXPECT_FALSE(facts.unprivileged_bpf_disabled.has_value());
  EXPECT_FALSE(facts.jit_enabled.has_value());
  EXPECT_FALSE(facts.btf);
  EXPECT_FALSE(facts.cgroup2.has_value());
  EXPECT_THAT(facts.lockdown, IsEmpty());
}

TEST_F(FakeNode, FilesThatFailToBeReadClaimNothing) {
  for (const char* path : {"/proc/self/status", "/proc/self/uid_map", "/sys/kernel/btf/vmlinux",
                           "/lib/modules/6.1/modules.dep"}) {
    std::filesystem::create_directories(root_ + path);  // opens, but read() fails
  }
  const NodeFacts facts = read_node_facts(root_);
  EXPECT_EQ(facts.effective_capabilities, 0U);
  EXPECT_FALSE(facts.btf);
  EXPECT_EQ(module_state(root_, "6.1", "ifb"), ModuleState::unknown);
}

TEST_F(FakeNode, InitialUserNamespaceIsTheIdentity) {
  write("/proc/self/uid_map", "         0          0 4294967295\n");
  EXPECT_TRUE(read_node_facts(root_).initial_user_namespace);
}

TEST_F(FakeNode, ModulesAreFoundLoadedBuiltInOrLoadable) {
  write("/sys/module/tun/refcnt", "0\n");
  write("/lib/modules/6.1/modules.builtin", "kernel/net/sched/cls_bpf.ko\n");
  write("/lib/modules/6.1/modules.dep",
        "kernel/net/sched/sch_netem.ko.xz:\nkernel/x/other.ko: kernel/drivers/net/ifb.ko\n");
  EXPECT_EQ(module_state(root_, "6.1", "tun"), ModuleState::present);
  EXPECT_EQ(module_state(root_, "6.1", "cls_bpf"), ModuleState::present);
  EXPECT_EQ(module_state(root_, "6.1", "sch_netem"), ModuleState::loadable);
  EXPECT_EQ(module_state(root_, "6.1", "ifb"), ModuleState::unknown)
      << "only what a line is about counts, not what it depends on";
  EXPECT_EQ(module_state(root_, "6.1", "netem"), ModuleState::unknown);
  EXPECT_EQ(module_state(root_, "9.9", "sch_netem"), ModuleState::unknown);
}

TEST(FindCgroup2, HybridHierarchiesAndOptionalFields) {
  const auto hybrid = find_cgroup2(
      "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
      "32 31 0:29 / /sys/fs/cgroup/cpu rw shared:9 master:1 - cgroup cgroup rw,cpu\n"
      "41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw shared:10 - cgroup2 cgroup2 rw\n");
  ASSERT_TRUE(hybrid.has_value());
  EXPECT_EQ(hybrid->mount_point, "/sys/fs/cgroup/uni fied");
  EXPECT_TRUE(hybrid->hybrid);
  EXPECT_FALSE(find_cgroup2("").has_value());
  EXPECT_FALSE(find_cgroup2("torn line without a separator\n").has_value());
}

TEST(ProbeFeatures, AnswersForThisKernelWithAnyPrivilege) {
  const Features features = probe_features();
  EXPECT_THAT(features.release, Not(IsEmpty()));
  EXPECT_THAT(features.bpf.state, AnyOf(Availability::yes, Availability::no));
  EXPECT_EQ(features.bpf.yes(), features.bpf_refusal == BpfRefusal::none);
  EXPECT_GT(features.tick_ns, 0U);
  EXPECT_EQ(&host_features(), &host_features());
}

}  // namespace
}  // namespace holdfast::agent::kernel
