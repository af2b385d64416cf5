// A run with an agent and probes that do as they are told; what the tests of the runner share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>

#include "common/unique_fd.h"
#include "controller/runner.h"

namespace holdfast::runner_test {

using namespace std::chrono_literals;  // NOLINT(google-global-names-in-headers)

// Seen by the probes too, which are evaluated in other threads.
struct World {
  std::atomic<int> live = 0;        // faults that are injected now
  std::atomic<int> injections = 0;  // so far
};

class FakeAgent : public agent::Agent {
 public:
  explicit FakeAgent(World& world) : world_(world) {}

  Result<std::vector<agent::PreparedAction>> prepare(
      const plan::Experiment& experiment, const std::vector<agent::ProtectedPeer>&) override {
    calls.emplace_back("prepare");
    if (fails == "prepare") {
      return fail(ErrorKind::not_found, "no such namespace");
    }
    std::vector<agent::PreparedAction> prepared;
    for (const plan::Action& action : experiment.method) {
      prepared.push_back({.name = action.name,
                          .target = "node",
                          .interfaces = {"eth0"},
                          .mechanism = "tcx",
                          .rules = {},
                          .notes = {}});
    }
    live_.resize(prepared.size());
    return prepared;
  }
  Result<void> snapshot_host() override { return call("snapshot_host"); }
  Result<void> arm(std::size_t index) override {
    auto result = call("arm " + std::to_string(index));
    if (result) {
      live_[index] = true;
      ++world_.live;
      ++world_.injections;
    }
    return result;
  }
  Result<void> disarm(std::size_t index) override {
    take_out(index);
    return call("disarm " + std::to_string(index));
  }
  Result<void> disarm_all() override {
    for (std::size_t i = 0; i < live_.size(); ++i) {
      take_out(i);
    }
    return call("disarm_all");
  }
  void renew_lease() override { renewals_while_live += world_.live > 0 ? 1 : 0; }
  Duration lease_period() const override { return lease; }
  Result<agent::Counters> counters(std::size_t) const override {
    return agent::Counters{.matched_packets = hits, .dropped_packets = hits};
  }
  Result<std::vector<agent::HostDifference>> compare_host() override {
    if (auto result = call("compare_host"); !result) {
      return std::unexpected(result.error());
    }
    return differences;
  }

  std::string fails;  // the call that fails
  std::uint64_t hits = 10;
  Duration lease = 1min;  // beyond what a busy machine delays
  std::vector<agent::HostDifference> differences;
  std::vector<std::string> calls;
  int renewals_while_live = 0;

 private:
  Result<void> call(const std::string& name) {
    calls.push_back(name);
    return fails == name ? fail(ErrorKind::io, name + " failed") : Result<void>{};
  }
  void take_out(std::size_t index) {
    if (live_[index]) {
      live_[index] = false;
      --world_.live;
    }
  }
  World& world_;
  std::vector<bool> live_;
};

using Answer = std::function<verify::Status(const plan::Probe&, const World&)>;

class FakeEvaluator : public verify::ProbeEvaluator {
 public:
  FakeEvaluator(const World& world, const Answer& answer, const Result<void>& check)
      : world_(world), answer_(answer), check_(check) {}
  verify::Evaluation evaluate(const plan::Probe& probe) override {
    const verify::Status status = answer_(probe, world_);
    return {status, status == verify::Status::no_data ? std::nullopt : std::optional(1.0),
            std::string(verify::to_string(status))};
  }
  Result<void> check_query(const plan::Probe&) override { return check_; }

 private:
  const World& world_;
  const Answer& answer_;
  const Result<void>& check_;
};

class Observer : public RunObserver {
 public:
  void on_event(double, const std::string& text) override {
    events.push_back(text);
    log.push_back(text);
    if (!cancel_at.empty() && text.find(cancel_at) != std::string::npos) {
      const std::uint64_t one = 1;
      ASSERT_EQ(::write(cancel.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    }
    if (at_event) {
      at_event(text);
    }
  }
  void on_status(const RunStatus& status) override {
    ++statuses;
    log.emplace_back("status");
    most_live = std::max(most_live, std::ranges::count_if(status.actions, &ActionStatus::live));
  }

  std::vector<std::string> events;
  std::vector<std::string> log;  // the events, and "status" for each status between them
  int statuses = 0;
  std::ptrdiff_t most_live = 0;
  std::string cancel_at;  // the event at which a person presses Ctrl-C
  std::function<void(const std::string&)> at_event;
  UniqueFd cancel{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

// Holds a probe's evaluation up until it is opened. Every wait is bounded, so that a runner that
// does something else than expected fails the test instead of hanging it.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    held_ = true;
    changed_.notify_all();
    changed_.wait_for(lock, kBound, [this] { return open_; });
  }
  bool await_held() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kBound, [this] { return held_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  static constexpr std::chrono::seconds kBound{10};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false, open_ = false;
};

inline plan::Probe probe_of(const std::string& name) {
  plan::Probe probe;
  probe.name = name;
  probe.query = "up";
  probe.tolerance = {plan::Comparison::ge, 1};
  probe.when = {plan::When::before, plan::When::during, plan::When::after};
  probe.interval = 5ms;
  return probe;
}

inline plan::Action action_of(const std::string& name) {
  plan::Action action;
  action.name = name;
  action.fault = plan::FaultKind::blackhole;
  action.duration = 60ms;
  return action;
}

class RunnerTest : public ::testing::Test {
 protected:
  RunnerTest() {
    experiment_.name = "test";
    experiment_.prometheus.url = "http://127.0.0.1:9090";
    experiment_.baseline = 30ms;
    experiment_.recovery_within = 300ms;
    experiment_.probes = {probe_of("sells")};
    experiment_.method = {action_of("cut")};
  }

  Result<report::RunReport> run() {
    return run_experiment(
        experiment_, {.agent = agent_,
                      .evaluators = [this]() -> Result<std::unique_ptr<verify::ProbeEvaluator>> {
                        return std::make_unique<FakeEvaluator>(world_, answer_, check_);
                      },
                      .observer = observer_,
                      .cancel_fd = observer_.cancel.get(),
                      .run_id = "r1"});
  }

  // Runs to a report, after which nothing is injected, whatever the verdict.
  report::RunReport report() {
    auto result = run();
    EXPECT_TRUE(result) << result.error().message;
    EXPECT_EQ(world_.live, 0);
    EXPECT_THAT(agent_.calls, ::testing::Contains("compare_host"));
    return result ? *result : report::RunReport{};
  }

  World world_;
  FakeAgent agent_{world_};
  Answer answer_ = [](const plan::Probe&, const World&) { return verify::Status::ok; };
  Result<void> check_;
  Observer observer_;
  plan::Experiment experiment_;
};

}  // namespace holdfast::runner_test
