// The agent on a kernel that does as it is told. Its target is this process' own network namespace,
// of which nothing is touched.
#include "agent/node_agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>
#include <stop_token>
#include <thread>

namespace holdfast::agent {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// What the agent did to the kernel, and what the kernel is to answer.
struct Script {
  std::vector<std::string> calls;
  std::string fails;  // the call that fails
  std::string mechanism = "tcx";
  std::vector<kernel::Link> links;
  std::vector<kernel::TcpConnection> connections;
  kernel::Snapshot snapshot;
  std::map<std::size_t, std::uint64_t> deadlines;                // of live rules
  std::map<std::size_t, std::vector<std::uint64_t>> thresholds;  // that rules were retuned to
  std::uint64_t lease = 0;
  std::vector<hf_protected> endpoints;
  TableImage table;

  Result<void> call(const std::string& name) {
    calls.push_back(name);
    return fails == name ? fail(ErrorKind::io, name + " failed") : Result<void>{};
  }
};

class FakeDataPath : public kernel::DataPath {
 public:
  explicit FakeDataPath(Script& script) : script_(script) {}
  Result<void> attach(const std::vector<kernel::Link>& links) override {
    auto result = script_.call("attach " + std::to_string(links.size()));
    attached_ = result.has_value();
    interfaces_ = links.size();
    return result;
  }
  Result<void> detach() override {
    auto result = script_.call("detach");
    attached_ = !result;
    return result;
  }
  bool attached() const override { return attached_; }
  std::size_t attached_interfaces() const override { return attached_ ? interfaces_ : 0; }
  Result<void> follow(const std::vector<kernel::Link>& links) override {
    return script_.call("follow " + std::to_string(links.size()));
  }
  void activate(std::size_t rule, plan::Direction, std::uint64_t deadline_ns) override {
    script_.deadlines[rule] = deadline_ns;
  }
  void deactivate(std::size_t rule) override { script_.deadlines.erase(rule); }
  void retune(std::size_t rule, const hf_rule& changed, const std::optional<LineRule>&) override {
    script_.thresholds[rule].push_back(changed.draw_threshold);
  }
  void set_lease(std::uint64_t deadline_ns) override { script_.lease = deadline_ns; }
  Result<hf_counters> counters(std::size_t rule) const override {
    hf_counters counters{};
    counters.matched_packets = rule + 1;
    return counters;
  }

 private:
  Script& script_;
  bool attached_ = false;
  std::size_t interfaces_ = 0;
};

class FakeKernel : public kernel::Kernel {
 public:
  explicit FakeKernel(Script& script) : script_(script) {}
  std::string mechanism() const override { return script_.mechanism; }
  Result<std::vector<kernel::Link>> links(const kernel::NetNamespace&) override {
    return script_.links;
  }
  Result<std::unique_ptr<kernel::DataPath>> load(
      const kernel::NetNamespace&, const TableImage& table,
      const std::vector<hf_protected>& endpoints) override {
    script_.table = table;
    script_.endpoints = endpoints;
    if (auto result = script_.call("load"); !result) {
      return std::unexpected(result.error());
    }
    return std::make_unique<FakeDataPath>(script_);
  }
  Result<std::uint64_t> close_connections(
      const kernel::NetNamespace&,
      const std::function<bool(const kernel::TcpConnection&)>& chosen) override {
    if (auto result = script_.call("close"); !result) {
      return std::unexpected(result.error());
    }
    return static_cast<std::uint64_t>(std::ranges::count_if(script_.connections, chosen));
  }
  Result<void> can_close_connections(const kernel::NetNamespace&) override {
    return script_.fails == "can close" ? fail(ErrorKind::unsupported, "can't close")
                                        : Result<void>{};
  }
  Result<kernel::Snapshot> snapshot(const kernel::NetNamespace&) override {
    if (auto result = script_.call("snapshot"); !result) {
      return std::unexpected(result.error());
    }
    return script_.snapshot;
  }

 private:
  Script& script_;
};

kernel::Link link_of(std::uint32_t ifindex, const std::string& name) {
  kernel::Link link{};
  link.ifindex = ifindex;
  link.name = name;
  link.up = true;
  return link;
}

class NodeAgentTest : public ::testing::Test {
 protected:
  NodeAgentTest() {
    std::string pattern = fs::temp_directory_path() / "agent-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    script_.links = {link_of(1, "lo"), link_of(2, "eth0")};
    script_.snapshot.entries = {{"link|2 eth0", "up"}};
    experiment_.method = {action_of("cut", "192.0.2.1")};
    make();
  }
  ~NodeAgentTest() override {
    agent_.reset();
    fs::remove_all(directory_);
  }

  static plan::Action action_of(const std::string& name, const std::string& address) {
    plan::Action action;
    action.name = name;
    action.fault = plan::FaultKind::blackhole;
    action.duration = 10s;
    action.target.node = true;
    plan::Prefix prefix{.address = {}, .length = 128, .written = address};
    prefix.address[10] = prefix.address[11] = 0xff;
    prefix.address[12] = 192;
    prefix.address[14] = 2;
    prefix.address[15] = 1;
    action.match.addresses = {prefix};
    return action;
  }

  void make() {
    agent_ = make_node_agent(
        std::make_unique<FakeKernel>(script_),
        {.run_id = "r1", .journal_directory = directory_, .lease = 2s, .protect = {}});
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& file : fs::directory_iterator(directory_)) {
      names.push_back(file.path().extension());
    }
    return names;
  }
  int journalled(const std::string& interface) const {
    std::ifstream journal(directory_ / "r1.journal");
    int lines = 0;
    for (std::string line; std::getline(journal, line);) {
      lines += line.find("\"" + interface + "\"") != std::string::npos ? 1 : 0;
    }
    return lines;
  }
  // Heartbeats until the condition holds: the agent looks for interfaces only now and then.
  template <class Condition>
  void renew_until(Condition condition) {
    for (const std::uint64_t start = now(); !condition() && now() < start + 10 * kSecond;) {
      agent_->renew_lease();
    }
  }
  static std::uint64_t now() {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  }
  static constexpr std::uint64_t kSecond = 1'000'000'000;

  Script script_;
  fs::path directory_;
  plan::Experiment experiment_;
  std::unique_ptr<Agent> agent_;
};

TEST_F(NodeAgentTest, PreparingTouchesNothing) {
  const auto prepared = agent_->prepare(experiment_, {});
  ASSERT_TRUE(prepared) << prepared.error().message;
  ASSERT_THAT(*prepared, SizeIs(1));
  EXPECT_EQ(prepared->front().mechanism, "tcx");
  EXPECT_THAT(prepared->front().interfaces, ElementsAre("lo", "eth0"));
  EXPECT_THAT(prepared->front().rules, ElementsAre(HasSubstr("192.0.2.1")));
  EXPECT_THAT(script_.calls, ElementsAre("load"));
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(NodeAgentTest, AScheduleChangesTheLiveRuleWithItsHeartbeat) {
  plan::Action& action = experiment_.method[0];
  action.fault = plan::FaultKind::loss;
  for (const auto& [after, share] : {std::pair{20ms, 0.25}, {40ms, 0.5}, {1h, 1.0}}) {
    plan::FaultParameters then;
    then.draw.percent.share = share;
    action.schedule.push_back({.after = after, .parameters = then, .flows = 1});
  }
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  agent_->renew_lease();
  EXPECT_THAT(script_.thresholds, IsEmpty());  // it has not begun
  ASSERT_TRUE(agent_->arm(0));
  constexpr std::uint64_t kHalf = std::uint64_t{1} << 31;
  renew_until(
      [&] { return !script_.thresholds[0].empty() && script_.thresholds[0].back() == kHalf; });
  for (int i = 0; i < 10; ++i) {
    agent_->renew_lease();
  }
  // Each step once, though a machine that stands still may miss the first.
  EXPECT_LE(script_.thresholds[0].size(), 2U);
  EXPECT_EQ(script_.thresholds[0].back(), kHalf);
  EXPECT_THAT(script_.calls, ElementsAre("load", "snapshot", "attach 2"));
  // Armed again it begins anew.
  ASSERT_TRUE(agent_->disarm(0));
  ASSERT_TRUE(agent_->arm(0));
  EXPECT_EQ(script_.thresholds[0].back(), 0U);
}

TEST_F(NodeAgentTest, AResetClosesWhatMatchesOnceTheRuleIsInPlace) {
  experiment_.method[0].blackhole.how = plan::BlackholeHow::reset;
  kernel::TcpConnection matched;
  matched.remote = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1};
  kernel::TcpConnection other = matched;
  other.remote[15] = 2;
  script_.connections = {matched, other, matched};
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  ASSERT_TRUE(agent_->arm(0));
  EXPECT_THAT(script_.calls, ElementsAre("load", "snapshot", "attach 2", "close"));
  EXPECT_EQ(agent_->counters(0)->closed_connections, 2U);
}

TEST_F(NodeAgentTest, AResetThatTheKernelCanNotDoIsRefusedBeforeAnythingIsTouched) {
  experiment_.method[0].blackhole.how = plan::BlackholeHow::reset;
  script_.fails = "can close";
  EXPECT_FALSE(agent_->prepare(experiment_, {}));
  EXPECT_THAT(script_.calls, IsEmpty());
}

TEST_F(NodeAgentTest, AResetThatFailsLeavesNothingArmed) {
  experiment_.method[0].blackhole.how = plan::BlackholeHow::reset;
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  script_.fails = "close";
  EXPECT_FALSE(agent_->arm(0));
  EXPECT_THAT(script_.deadlines, IsEmpty());
  EXPECT_EQ(script_.lease, 0U);
}

TEST_F(NodeAgentTest, ALifeOfOneFault) {
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  EXPECT_THAT(files(), Contains(".journal"));
  const std::uint64_t before = now();
  ASSERT_TRUE(agent_->arm(0));
  const std::uint64_t after = now();
  // Both ends are in the kernel from the start: that of the action and that of the lease.
  EXPECT_GE(script_.deadlines.at(0), before + 10 * kSecond);
  EXPECT_LE(script_.deadlines.at(0), after + 10 * kSecond);
  EXPECT_GE(script_.lease, before + 2 * kSecond);
  EXPECT_LE(script_.lease, after + 2 * kSecond);

  const std::uint64_t lease = script_.lease;
  agent_->renew_lease();
  EXPECT_GT(script_.lease, lease);
  EXPECT_LE(script_.deadlines.at(0), after + 10 * kSecond) << "a heartbeat prolongs no action";

  EXPECT_EQ(agent_->counters(0)->matched_packets, 1U);
  ASSERT_TRUE(agent_->disarm(0));
  EXPECT_THAT(script_.deadlines, IsEmpty());
  EXPECT_EQ(script_.lease, 0U);
  EXPECT_THAT(script_.calls, ElementsAre("load", "snapshot", "attach 2", "detach"));
  EXPECT_TRUE(agent_->disarm(0)) << "twice is as good as once";
  EXPECT_EQ(agent_->counters(0)->matched_packets, 1U) << "the proof outlives the fault";
  ASSERT_TRUE(agent_->disarm_all());
  EXPECT_THAT(*agent_->compare_host(), IsEmpty());
  agent_.reset();
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(NodeAgentTest, ActionsShareOneTableAndAreAttachedAsLongAsOneIsLive) {
  experiment_.method.push_back(action_of("again", "192.0.2.1"));
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  ASSERT_TRUE(agent_->arm(0));
  ASSERT_TRUE(agent_->arm(1));
  EXPECT_EQ(agent_->attached_interfaces(), 2U);  // not 2 for each action
  ASSERT_TRUE(agent_->disarm(0));
  EXPECT_THAT(script_.deadlines, SizeIs(1));
  EXPECT_NE(script_.lease, 0U);
  EXPECT_EQ(agent_->attached_interfaces(), 2U);
  ASSERT_TRUE(agent_->disarm(1));
  EXPECT_EQ(agent_->attached_interfaces(), 0U);
  EXPECT_THAT(script_.calls, ElementsAre("load", "snapshot", "attach 2", "detach"));
}

// What a scrape does while a run goes on; the thread sanitizer is who judges it.
TEST_F(NodeAgentTest, IsReadFromAnotherThread) {
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  std::jthread reader([this](const std::stop_token& stopped) {
    while (!stopped.stop_requested()) {
      EXPECT_TRUE(agent_->counters(0));
      EXPECT_LE(agent_->attached_interfaces(), 2U);
    }
  });
  for (int i = 0; i < 200; ++i) {
    EXPECT_TRUE(agent_->arm(0));
    agent_->renew_lease();
    EXPECT_TRUE(agent_->disarm(0));
  }
}

TEST_F(NodeAgentTest, WhatCanNotBeAttachedIsNotLive) {
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  script_.fails = "attach 2";
  const auto armed = agent_->arm(0);
  ASSERT_FALSE(armed);
  EXPECT_THAT(armed.error().message, HasSubstr("cut"));
  EXPECT_THAT(script_.deadlines, IsEmpty());
  EXPECT_TRUE(agent_->disarm_all());
}

TEST_F(NodeAgentTest, ADetachThatFailsIsReportedAndLeavesTheJournal) {
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  ASSERT_TRUE(agent_->arm(0));
  script_.fails = "detach";
  EXPECT_FALSE(agent_->disarm_all());
  EXPECT_THAT(script_.deadlines, IsEmpty()) << "packets pass all the same";
  EXPECT_EQ(script_.lease, 0U);
  EXPECT_EQ(agent_->attached_interfaces(), 2U);
  // Tried again with every further call, and not forgotten in the meantime.
  EXPECT_FALSE(agent_->disarm_all());
  script_.fails.clear();
  EXPECT_TRUE(agent_->disarm_all());
}

TEST_F(NodeAgentTest, FiltersAreInTheJournalBeforeTheyAreInTheKernel) {
  script_.mechanism = "clsact";
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  script_.fails = "attach 2";
  ASSERT_FALSE(agent_->arm(0));
  std::ifstream journal(directory_ / "r1.journal");
  const std::string text{std::istreambuf_iterator<char>(journal), {}};
  EXPECT_THAT(text, HasSubstr("\"interface\":\"eth0\""));
  EXPECT_THAT(text, HasSubstr("\"madeQdisc\":true"));
}

TEST_F(NodeAgentTest, AClsactQdiscThatWasThereIsSomebodyElses) {
  script_.mechanism = "clsact";
  script_.snapshot.entries.emplace_back("qdisc|eth0 clsact parent ffff:fff1", "handle ffff:0");
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  ASSERT_TRUE(agent_->arm(0));
  std::ifstream journal(directory_ / "r1.journal");
  for (std::string line; std::getline(journal, line);) {
    if (line.find("\"eth0\"") != std::string::npos) {
      EXPECT_THAT(line, HasSubstr("\"madeQdisc\":false"));
    }
  }
}

TEST_F(NodeAgentTest, NothingIsArmedWithoutASnapshot) {
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  EXPECT_FALSE(agent_->arm(0));
  EXPECT_THAT(script_.calls, Not(Contains("attach 2")));
}

TEST_F(NodeAgentTest, ASnapshotThatFailsLeavesNothing) {
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  script_.fails = "snapshot";
  EXPECT_FALSE(agent_->snapshot_host());
  agent_.reset();
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(NodeAgentTest, ProtectedTrafficIsRefusedUnlessItIsSpared) {
  const std::vector<ProtectedPeer> peers = {
      {.host = "192.0.2.1", .port = 9090, .netns = "", .why = "the plan's Prometheus"}};
  const auto refused = agent_->prepare(experiment_, peers);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  EXPECT_THAT(refused.error().message, HasSubstr("the plan's Prometheus"));
  EXPECT_THAT(refused.error().cure, HasSubstr("protected: spare"));

  make();
  experiment_.method[0].spare_protected = true;
  const auto spared = agent_->prepare(experiment_, peers);
  ASSERT_TRUE(spared) << spared.error().message;
  EXPECT_THAT(spared->front().notes, Contains(HasSubstr("spared")));
  EXPECT_THAT(script_.endpoints,
              Contains(::testing::Field(&hf_protected::port, ::testing::Eq(9090))));
}

TEST_F(NodeAgentTest, AnInterfaceThatAppearsIsCovered) {
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  ASSERT_TRUE(agent_->arm(0));
  script_.links.push_back(link_of(3, "eth1"));
  agent_->renew_lease();
  EXPECT_THAT(script_.calls, Contains("follow 3"));
}

// Nothing is lost where it fails once: the next look tries again, and the journal comes first.
TEST_F(NodeAgentTest, AnInterfaceThatCouldNotBeCoveredIsTriedAgain) {
  script_.mechanism = "clsact";
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  ASSERT_TRUE(agent_->arm(0));
  script_.links.push_back(link_of(3, "eth1"));
  script_.fails = "follow 3";
  renew_until([this] { return std::ranges::count(script_.calls, "follow 3") >= 1; });
  script_.fails.clear();
  renew_until([this] { return std::ranges::count(script_.calls, "follow 3") >= 2; });
  EXPECT_EQ(std::ranges::count(script_.calls, "follow 3"), 2);
  EXPECT_EQ(journalled("eth1"), 1) << "written down once, before the first try";
  EXPECT_EQ(journalled("eth0"), 1);
}

TEST_F(NodeAgentTest, AnInterfaceThatCanNotBeJournalledIsNotCovered) {
  script_.mechanism = "clsact";
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  ASSERT_TRUE(agent_->arm(0));
  script_.links.push_back(link_of(3, "eth1"));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit full = before;
  full.rlim_cur = fs::file_size(directory_ / "r1.journal");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  agent_->renew_lease();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_THAT(script_.calls, Not(Contains("follow 3")));
}

// What a failed detach left is only a part: it goes before the whole is attached again.
TEST_F(NodeAgentTest, AfterADetachThatFailedEverythingIsAttachedAnew) {
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  ASSERT_TRUE(agent_->arm(0));
  script_.fails = "detach";
  EXPECT_FALSE(agent_->disarm(0));
  EXPECT_FALSE(agent_->arm(0)) << "still can't be detached";
  EXPECT_THAT(script_.deadlines, IsEmpty());
  script_.fails.clear();
  script_.calls.clear();
  EXPECT_TRUE(agent_->arm(0));
  EXPECT_THAT(script_.calls, ElementsAre("detach", "attach 2"));
}

TEST_F(NodeAgentTest, AFaultThatCanNotBeInjectedHoldsNoLease) {
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  script_.fails = "attach 2";
  ASSERT_FALSE(agent_->arm(0));
  EXPECT_EQ(script_.lease, 0U);
}

TEST_F(NodeAgentTest, AfterASettledEndANewFaultIsJournalledAgain) {
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  ASSERT_TRUE(agent_->disarm_all());
  ASSERT_TRUE(agent_->arm(0));
  script_.fails = "detach";
  agent_.reset();
  EXPECT_THAT(files(), Contains(".journal")) << "the next run has to know of it";
}

TEST_F(NodeAgentTest, DifferencesOfTheHostNameTheirCure) {
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  script_.snapshot.entries.emplace_back("qdisc|eth0 htb parent root", "handle 1:0");
  script_.snapshot.entries.emplace_back("filter|eth0 parent ffff:fff3 pref 1 bpf handle 0x4846",
                                        "hf_egress");
  const auto differences = agent_->compare_host();
  ASSERT_TRUE(differences);
  ASSERT_THAT(*differences, SizeIs(2));
  for (const HostDifference& one : *differences) {
    EXPECT_THAT(one.cure, one.what == "filter" ? HasSubstr("next `holdfast run` removes it")
                                               : HasSubstr("not made by holdfast"));
  }
}

TEST_F(NodeAgentTest, EverythingEndsWithTheAgent) {
  ASSERT_TRUE(agent_->prepare(experiment_, {}));
  ASSERT_TRUE(agent_->snapshot_host());
  ASSERT_TRUE(agent_->arm(0));
  agent_.reset();
  EXPECT_THAT(script_.calls, Contains("detach"));
  EXPECT_THAT(script_.deadlines, IsEmpty());
}

}  // namespace
}  // namespace holdfast::agent
