// The delay line between two network namespaces: real packets of real sockets, over a cable and
// through the TAP.
#include <algorithm>

#include "tests/bpf/delay_fixture.h"

namespace holdfast::agent {
namespace {

struct Way {
  const char* name;
  bool leaves;  // near sends
  const char *near, *far;
};

class DelayEachWay : public Delay, public testing::WithParamInterface<Way> {};

TEST_P(DelayEachWay, PacketsComeAfterTheDelayInOrderAndOnce) {
  constexpr auto kDelay = 20ms;
  constexpr std::size_t kCount = 50;
  const Way& way = GetParam();
  ASSERT_NO_FATAL_FAILURE(
      delay({fixed(kDelay)}, way.leaves ? plan::Direction::to : plan::Direction::from));
  Stream stream = way.leaves ? Stream(near(), way.near, far(), way.far)
                             : Stream(far(), way.far, near(), way.near);
  for (std::size_t i = 0; i < kCount; ++i) {
    stream.send();
  }
  const auto arrivals = stream.receive(kCount);
  EXPECT_TRUE(in_order(arrivals));
  EXPECT_GE(shortest(arrivals), kDelay);
  EXPECT_EQ(delays().packets, kCount);
  EXPECT_GE(delays().least, kDelay);
  EXPECT_EQ(counters().matched_packets, kCount);
  EXPECT_EQ(counters().undelayed_packets, 0U);
}

INSTANTIATE_TEST_SUITE_P(Ways, DelayEachWay,
                         testing::Values(Way{"OutIpv4", true, kNearAddress, kFarAddress},
                                         Way{"InIpv4", false, kNearAddress, kFarAddress},
                                         Way{"OutIpv6", true, kNearAddress6, kFarAddress6},
                                         Way{"InIpv6", false, kNearAddress6, kFarAddress6}),
                         [](const auto& way) { return std::string(way.param.name); });

TEST_F(Delay, TheOtherDirectionIsNotTouched) {
  ASSERT_NO_FATAL_FAILURE(delay({fixed(1h)}));
  Stream stream(far(), kFarAddress, near(), kNearAddress);
  stream.send();
  stream.receive(1);
  EXPECT_EQ(counters().matched_packets, 0U);
}

TEST_F(Delay, SeveralAddUp) {
  ASSERT_NO_FATAL_FAILURE(delay({fixed(10ms), fixed(25ms)}));
  Stream stream(near(), kNearAddress, far(), kFarAddress);
  stream.send();
  EXPECT_GE(shortest(stream.receive(1)), 35ms);
  EXPECT_GE(delays(0).least, 10ms);
  EXPECT_GE(delays(1).least, 25ms);
}

TEST_F(Delay, JitterNeverReordersAConnectionUnlessAskedFor) {
  constexpr std::size_t kCount = 200;
  plan::LatencyParams params = fixed(20ms);
  params.jitter = 20ms;
  params.distribution = plan::LatencyParams::Distribution::uniform;
  for (const bool reorder : {false, true}) {
    params.reorder = reorder;
    ASSERT_NO_FATAL_FAILURE(delay({params}));
    Stream stream(near(), kNearAddress, far(), kFarAddress);
    for (std::size_t i = 0; i < kCount; ++i) {
      stream.send();
    }
    EXPECT_EQ(in_order(stream.receive(kCount)), !reorder);
  }
}

// An end of the fault, in the kernel or by hand, lets go of what is kept.
TEST_F(Delay, WhatIsKeptLeavesWhenTheRuleEnds) {
  constexpr std::size_t kCount = 20;
  ASSERT_NO_FATAL_FAILURE(delay({fixed(1h)}));
  Stream stream(near(), kNearAddress, far(), kFarAddress);
  for (std::size_t i = 0; i < kCount; ++i) {
    stream.send();
  }
  path_->deactivate(0);
  EXPECT_TRUE(in_order(stream.receive(kCount)));
  stream.send();
  stream.receive(1);
  EXPECT_EQ(counters().matched_packets, kCount);
  EXPECT_LT(delays().most, 1h);
}

TEST_F(Delay, NothingIsKeptBeyondTheDeadline) {
  ASSERT_NO_FATAL_FAILURE(delay({fixed(1h)}));
  path_->activate(0, plan::Direction::to, in(300ms));
  Stream stream(near(), kNearAddress, far(), kFarAddress);
  stream.send();
  stream.receive(1);
}

TEST_F(Delay, WhatIsKeptLeavesWhenItIsDetached) {
  constexpr std::size_t kCount = 20;
  ASSERT_NO_FATAL_FAILURE(delay({fixed(1h)}));
  Stream stream(near(), kNearAddress, far(), kFarAddress);
  for (std::size_t i = 0; i < kCount; ++i) {
    stream.send();
  }
  ASSERT_TRUE(path_->detach());
  EXPECT_TRUE(in_order(stream.receive(kCount)));
  EXPECT_EQ(delays().packets, kCount);
}

}  // namespace
}  // namespace holdfast::agent
