#include "agent/metered_agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <atomic>
#include <thread>

#include "agent/metrics_server.h"

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
    R"({action="cut",fault="blackhole",target="network namespace \"edge\""})";

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
  ASSERT_TRUE(metered_.arm(0));
  std::string text = scrape();
  EXPECT_THAT(text, HasSubstr(std::string("holdfast_action_active") + kCut + " 1"));
  EXPECT_THAT(text, HasSubstr(std::string("holdfast_action_dropped_packets_total") + kCut + " 5"));
  EXPECT_THAT(text, HasSubstr(std::string("holdfast_action_matched_packets_total") + kCut + " 10"));
  EXPECT_THAT(text, HasSubstr("holdfast_agent_attached_interfaces 2"));
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
  EXPECT_THAT(text, HasSubstr("holdfast_agent_attached_interfaces 0"));
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

TEST(ListenAddress, Accepted) {
  const auto v4 = parse_listen_address("127.0.0.1:9464");
  ASSERT_TRUE(v4) << v4.error().message;
  EXPECT_EQ(v4->text(), "127.0.0.1:9464");
  EXPECT_TRUE(v4->loopback);
  const auto v6 = parse_listen_address("[::1]:9464");
  ASSERT_TRUE(v6) << v6.error().message;
  EXPECT_EQ(v6->text(), "[::1]:9464");
  EXPECT_TRUE(v6->loopback);
  const auto all = parse_listen_address("0.0.0.0:1");
  ASSERT_TRUE(all);
  EXPECT_FALSE(all->loopback);
  EXPECT_EQ(parse_listen_address("localhost:80")->text(), "127.0.0.1:80");
}

TEST(ListenAddress, Refused) {
  for (const char* text :
       {"", ":", "9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
        "127.0.0.1:80x", "127.0.0.1:80,0.0.0.0:81", "::1:9464", "[127.0.0.1]:80", "[::1]",
        "host.example:80", ":9464", "[]:9464", "127.0.0.1:-1"}) {
    const auto address = parse_listen_address(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().kind, ErrorKind::usage) << text;
    EXPECT_THAT(address.error().cure, HasSubstr("127.0.0.1:9464")) << text;
  }
}

}  // namespace
}  // namespace holdfast::agent
