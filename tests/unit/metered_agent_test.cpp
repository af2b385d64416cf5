#include "agent/metered_agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <atomic>
#include <ctime>
#include <thread>

namespace holdfast::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class FakeAgent : public Agent {
 public:
  struct Behaviour {
    bool fails = false;
    bool counters_fail = false;
    std::atomic<std::uint64_t> dropped = 0;
    std::atomic<std::size_t> attached = 0;
  };
  explicit FakeAgent(Behaviour& behaviour) : behaviour_(behaviour) {}

  Result<std::vector<PreparedAction>> prepare(const plan::Experiment& experiment,
                                              const std::vector<ProtectedPeer>&) override {
    std::vector<PreparedAction> prepared;
    for (const plan::Action& action : experiment.method) {
      prepared.push_back({.name = action.name,
                          .target = "network namespace \"edge\"",
                          .interfaces = {"lo", "eth0"},
                          .mechanism = "tcx",
                          .rules = {},
                          .notes = {}});
    }
    return prepared;
  }
  Result<void> snapshot_host() override { return {}; }
  Result<void> arm(std::size_t) override { return outcome(); }
  Result<void> disarm(std::size_t) override { return outcome(); }
  Result<void> disarm_all() override { return outcome(); }
  void renew_lease() override {}
  Duration lease_period() const override { return std::chrono::seconds(2); }
  Result<Counters> counters(std::size_t) const override {
    if (behaviour_.counters_fail) {
      return fail(ErrorKind::io, "no counters");
    }
    return Counters{.matched_packets = 2 * behaviour_.dropped,
                    .dropped_packets = behaviour_.dropped,
                    .answered_packets = 0};
  }
  std::size_t attached_interfaces() const override { return behaviour_.attached; }
  Result<std::vector<HostDifference>> compare_host() override { return {}; }

 private:
  Result<void> outcome() const {
    return behaviour_.fails ? fail(ErrorKind::io, "no") : Result<void>{};
  }
  Behaviour& behaviour_;
};

class MeteredAgentTest : public ::testing::Test {
 protected:
  MeteredAgentTest() {
    experiment_.name = "shop";
    for (const char* name : {"cut", "lose"}) {
      plan::Action action;
      action.name = name;
      action.fault = plan::FaultKind::blackhole;
      experiment_.method.push_back(action);
    }
    EXPECT_TRUE(metered_.prepare(experiment_, {}));
  }
  std::string scrape() const { return prometheus::TextSerializer().Serialize(metered_.Collect()); }

  FakeAgent::Behaviour behaviour_;
  plan::Experiment experiment_;
  MeteredAgent metered_{std::make_unique<FakeAgent>(behaviour_),
                        {.run_id = "r1", .version = "0.1.0", .kernel = "6.1"}};
};

constexpr const char* kCut =
    R"({run="r1",action="cut",fault="blackhole",target="network namespace \"edge\""})";

TEST_F(MeteredAgentTest, SaysWhatRuns) {
  EXPECT_THAT(
      scrape(),
      HasSubstr(
          R"(holdfast_agent_info{version="0.1.0",kernel="6.1",run="r1",experiment="shop"} 1)"));
}

TEST_F(MeteredAgentTest, FollowsAnActionThroughItsLife) {
  EXPECT_THAT(scrape(), HasSubstr(std::string("holdfast_action_active") + kCut + " 0"));
  EXPECT_THAT(scrape(), HasSubstr("holdfast_agent_lease_remaining_seconds 0\n"));

  behaviour_.dropped = 5;
  behaviour_.attached = 2;
  ASSERT_TRUE(metered_.arm(0));
  std::string text = scrape();
  EXPECT_THAT(text, HasSubstr(std::string("holdfast_action_active") + kCut + " 1"));
  EXPECT_THAT(text, HasSubstr(std::string("holdfast_action_dropped_packets_total") + kCut + " 5"));
  EXPECT_THAT(text, HasSubstr(std::string("holdfast_action_matched_packets_total") + kCut + " 10"));
  EXPECT_THAT(text, HasSubstr(R"(holdfast_agent_attached_interfaces{mechanism="tcx"} 2)"));
  EXPECT_THAT(text, HasSubstr("holdfast_agent_faults_injected_total 1"));
  EXPECT_THAT(text, Not(HasSubstr("holdfast_agent_lease_remaining_seconds 0\n")));

  ASSERT_TRUE(metered_.disarm(0));
  ASSERT_TRUE(metered_.disarm(0));  // twice does not count twice
  ASSERT_TRUE(metered_.disarm_all());
  text = scrape();
  EXPECT_THAT(text, HasSubstr(std::string("holdfast_action_active") + kCut + " 0"));
  // What was counted stays: a counter that fell would look like a restart.
  EXPECT_THAT(text, HasSubstr(std::string("holdfast_action_dropped_packets_total") + kCut + " 5"));
  EXPECT_THAT(text, HasSubstr("holdfast_agent_faults_removed_total 1"));
}

// A detach that failed: the fault is over, its programs are still there.
TEST_F(MeteredAgentTest, WhatIsStillAttachedIsShownAfterTheFault) {
  ASSERT_TRUE(metered_.arm(0));
  behaviour_.fails = true;
  behaviour_.attached = 1;
  ASSERT_FALSE(metered_.disarm(0));
  const std::string text = scrape();
  EXPECT_THAT(text, HasSubstr(std::string("holdfast_action_active") + kCut + " 0"));
  EXPECT_THAT(text, HasSubstr(R"(holdfast_agent_attached_interfaces{mechanism="tcx"} 1)"));
}

TEST_F(MeteredAgentTest, SaysWhenTheProcessBegan) {
  const std::string text = scrape();
  const std::string name = "\nprocess_start_time_seconds ";
  const std::size_t at = text.find(name);
  ASSERT_NE(at, std::string::npos) << text;
  const double began = std::stod(text.substr(at + name.size()));
  // /proc says the same to the second that `ps -o lstart` shows: here only that it is a time of day
  // between this system's boot and now.
  timespec since_boot{};
  ASSERT_EQ(::clock_gettime(CLOCK_BOOTTIME, &since_boot), 0);
  const auto now = static_cast<double>(std::time(nullptr));
  EXPECT_LE(began, now + 1);
  EXPECT_GE(began, now - static_cast<double>(since_boot.tv_sec) - 1);
}

TEST_F(MeteredAgentTest, CountsFailures) {
  behaviour_.fails = true;
  EXPECT_FALSE(metered_.arm(0));
  EXPECT_FALSE(metered_.disarm_all());
  const std::string text = scrape();
  EXPECT_THAT(text, HasSubstr(R"(holdfast_agent_fault_failures_total{operation="inject"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(holdfast_agent_fault_failures_total{operation="remove"} 1)"));
  EXPECT_THAT(text, HasSubstr("holdfast_agent_faults_injected_total 0"));
}

TEST_F(MeteredAgentTest, UnreadableCountersAreAHoleAndNotAZero) {
  behaviour_.counters_fail = true;
  EXPECT_THAT(scrape(), Not(HasSubstr("holdfast_action_dropped_packets_total{")));
}

TEST_F(MeteredAgentTest, ScrapesFromAnotherThread) {
  std::atomic<bool> stop = false;
  std::thread scraper([&] {
    while (!stop) {
      EXPECT_THAT(scrape(), HasSubstr("holdfast_agent_info"));
    }
  });
  for (int i = 0; i < 200; ++i) {
    ++behaviour_.dropped;
    EXPECT_TRUE(metered_.arm(i % 2));
    metered_.renew_lease();
    EXPECT_TRUE(metered_.disarm(i % 2));
  }
  stop = true;
  scraper.join();
}

}  // namespace
}  // namespace holdfast::agent
