// Probes evaluated in threads of their own: none waits for another.
#include "controller/prober.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

namespace holdfast {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using verify::Status;

using Answer = std::function<verify::Evaluation(const plan::Probe&)>;

class FakeEvaluator : public verify::ProbeEvaluator {
 public:
  explicit FakeEvaluator(const Answer& answer) : answer_(answer) {}
  verify::Evaluation evaluate(const plan::Probe& probe) override {
    EXPECT_EQ(thread_, std::this_thread::get_id()) << "an evaluator belongs to one thread";
    return answer_(probe);
  }
  Result<void> check_query(const plan::Probe&) override { return {}; }

 private:
  const Answer& answer_;
  std::thread::id thread_ = std::this_thread::get_id();
};

class ProberTest : public ::testing::Test {
 protected:
  void add(const std::string& name, Duration interval) {
    plan::Probe probe;
    probe.name = name;
    probe.interval = interval;
    probes_.push_back(std::make_unique<plan::Probe>(probe));
  }
  void start() {
    std::vector<const plan::Probe*> given;
    for (const auto& probe : probes_) {
      given.push_back(probe.get());
    }
    auto prober = Prober::start(given, [this]() -> Result<std::unique_ptr<verify::ProbeEvaluator>> {
      if (!factory_error_.empty()) {
        return fail(ErrorKind::unavailable, factory_error_);
      }
      return std::make_unique<FakeEvaluator>(answer_);
    });
    ASSERT_TRUE(prober) << prober.error().message;
    prober_ = std::move(*prober);
  }
  // Takes samples until each of these probes has given `count`; false after a generous time.
  bool collect(const std::set<std::size_t>& wanted, std::size_t count) {
    const auto until = Clock::now() + 20s;
    while (Clock::now() < until) {
      pollfd ready{.fd = prober_->fd(), .events = POLLIN, .revents = 0};
      (void)::poll(&ready, 1, 100);
      for (const ProbeSample& sample : prober_->take()) {
        samples_[sample.probe].push_back(sample);
      }
      if (std::ranges::all_of(wanted, [&](std::size_t i) { return samples_[i].size() >= count; })) {
        return true;
      }
    }
    return false;
  }

  std::vector<std::unique_ptr<plan::Probe>> probes_;
  Answer answer_ = [](const plan::Probe& probe) {
    return verify::Evaluation{Status::ok, 1, probe.name};
  };
  std::string factory_error_;
  std::map<std::size_t, std::vector<ProbeSample>> samples_;
  std::unique_ptr<Prober> prober_;  // last: its threads use the rest
};

TEST_F(ProberTest, EveryProbeIsEvaluatedAgainAndAgain) {
  for (const char* name : {"a", "b", "c"}) {
    add(name, 2ms);
  }
  start();
  ASSERT_TRUE(collect({0, 1, 2}, 5));
  for (std::size_t i = 0; i < probes_.size(); ++i) {
    for (std::size_t j = 0; j < samples_[i].size(); ++j) {
      EXPECT_EQ(samples_[i][j].evaluation.detail, probes_[i]->name);
      if (j > 0) {
        EXPECT_GT(samples_[i][j].asked, samples_[i][j - 1].asked);
      }
    }
  }
}

TEST_F(ProberTest, MoreProbesThanThreads) {
  std::set<std::size_t> all;
  for (int i = 0; i < 30; ++i) {
    add(std::to_string(i), 5ms);
    all.insert(static_cast<std::size_t>(i));
  }
  start();
  EXPECT_TRUE(collect(all, 2));
}

TEST_F(ProberTest, NoProbeIsAskedMoreOftenThanItsInterval) {
  add("a", 20ms);
  const auto before = Clock::now();
  start();
  ASSERT_TRUE(collect({0}, 6));
  const auto& samples = samples_[0];
  EXPECT_GE(samples.back().asked - before, 20ms * (samples.size() - 1));
}

TEST_F(ProberTest, AHangingProbeHoldsUpNoOther) {
  std::atomic<bool> release = false;
  answer_ = [&](const plan::Probe& probe) {
    if (probe.name == "hangs") {
      release.wait(false);
    }
    return verify::Evaluation{Status::ok, 1, probe.name};
  };
  add("hangs", 1ms);
  add("a", 1ms);
  add("b", 1ms);
  start();
  EXPECT_TRUE(collect({1, 2}, 20));
  EXPECT_TRUE(samples_[0].empty());
  release = true;
  release.notify_all();
  EXPECT_TRUE(collect({0}, 1));
  prober_.reset();  // before what its threads refer to
}

TEST_F(ProberTest, StoppingDoesNotWaitForIntervals) {
  add("a", 1h);
  add("b", 1h);
  start();
  ASSERT_TRUE(collect({0, 1}, 1));
  prober_.reset();  // an hour, if it did
}

TEST_F(ProberTest, StoppingWaitsForWhatIsUnderWay) {
  std::atomic<int> inside = 0, begun = 0;
  answer_ = [&](const plan::Probe&) {
    ++inside;
    ++begun;
    std::this_thread::yield();
    --inside;
    return verify::Evaluation{Status::ok, 1, ""};
  };
  for (int i = 0; i < 50; ++i) {
    begun = 0;
    probes_.clear();
    add("a", 1ns);
    add("b", 1ns);
    start();
    while (begun < 2) {
      std::this_thread::yield();
    }
    prober_.reset();
    EXPECT_EQ(inside, 0);
  }
}

TEST_F(ProberTest, AFactoryThatFailsIsNoData) {
  factory_error_ = "no such network namespace";
  add("a", 1ms);
  start();
  ASSERT_TRUE(collect({0}, 2));
  for (const ProbeSample& sample : samples_[0]) {
    EXPECT_EQ(sample.evaluation.status, Status::no_data);
    EXPECT_EQ(sample.evaluation.detail, "no such network namespace");
  }
}

TEST_F(ProberTest, TheDescriptorIsReadableWhileSamplesWait) {
  add("a", 1h);
  start();
  pollfd ready{.fd = prober_->fd(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&ready, 1, 20000), 1);
  EXPECT_EQ(prober_->take().size(), 1U);
  ready.revents = 0;
  EXPECT_EQ(::poll(&ready, 1, 0), 0);
  EXPECT_TRUE(prober_->take().empty());
}

TEST_F(ProberTest, WithoutProbesThereIsNothingToDo) {
  start();
  EXPECT_TRUE(prober_->take().empty());
}

}  // namespace
}  // namespace holdfast
