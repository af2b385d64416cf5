// The line between the two ends of a socket pair, which carries a parcel for each call as a TAP
// does.
#include "agent/delay/delay_line.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

namespace holdfast::agent {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kPayload = 64;
constexpr int kPatience = 20'000;  // ms

std::uint64_t now() {
  return static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
}
std::uint64_t in(Duration delay) {
  return now() + static_cast<std::uint64_t>(delay.count());
}

plan::LatencyParams fixed(Duration delay) {
  plan::LatencyParams params;
  params.delay = delay;
  return params;
}

class Line : public testing::Test {
 protected:
  void start(const LineRules& rules, std::size_t most_bytes = std::size_t{1} << 20) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    kernel_.reset(ends[0]);
    ASSERT_EQ(::fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    auto started = DelayLine::start({.tap = UniqueFd(ends[1]),
                                     .rules = rules,
                                     .beat = [this](std::uint64_t ns) { beat_ = ns; },
                                     .seed = 1,
                                     .most_bytes = most_bytes});
    ASSERT_TRUE(started);
    line_ = std::move(*started);
    for (const auto& [number, params] : rules) {
      line_->begin(number, in(1h));
    }
  }
  // Hands a packet to the line: its number is all that there is in it.
  void put(std::uint32_t number, std::vector<std::size_t> rules, std::uint64_t flow = 0,
           std::uint32_t copies = 0) {
    std::vector<std::byte> bytes(kVirtioHeader + sizeof(hf_parcel) + kPayload);
    hf_parcel parcel{};
    for (const std::size_t rule : rules) {
      parcel.rules.word[rule / 64] |= std::uint64_t{1} << (rule % 64);
    }
    parcel.arrived_ns = now();
    parcel.flow = flow;
    parcel.mark = number;
    parcel.copies = copies;
    std::memcpy(bytes.data() + kVirtioHeader, &parcel, sizeof(parcel));
    ASSERT_EQ(::send(kernel_.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }
  bool comes(int patience = kPatience) {
    pollfd file{.fd = kernel_.get(), .events = POLLIN, .revents = 0};
    return ::poll(&file, 1, patience) == 1;
  }
  // The next packet that comes back, with how long it was away.
  std::pair<std::uint32_t, Duration> take() {
    if (!comes()) {
      ADD_FAILURE() << "no packet comes back";
      return {};
    }
    std::vector<std::byte> bytes(4096);
    const ssize_t length = ::recv(kernel_.get(), bytes.data(), bytes.size(), 0);
    EXPECT_EQ(length, static_cast<ssize_t>(kVirtioHeader + sizeof(hf_parcel) + kPayload));
    hf_parcel parcel{};
    std::memcpy(&parcel, bytes.data() + kVirtioHeader, sizeof(parcel));
    return {parcel.mark, Duration(static_cast<Duration::rep>(now() - parcel.arrived_ns))};
  }

  UniqueFd kernel_;
  std::atomic<std::uint64_t> beat_ = 0;
  std::unique_ptr<DelayLine> line_;
};

TEST_F(Line, KeepsEachPacketForItsDelay) {
  start({{3, fixed(30ms)}, {70, fixed(5ms)}});
  put(1, {3});
  put(2, {70}, 9);
  const auto first = take();
  const auto second = take();
  EXPECT_EQ(first.first, 2U);  // of another connection
  EXPECT_GE(first.second, 5ms);
  EXPECT_EQ(second.first, 1U);
  EXPECT_GE(second.second, 30ms);
  EXPECT_EQ(line_->results(3).delays.packets, 1U);
  EXPECT_GE(line_->results(3).delays.least, 30ms);
  EXPECT_GE(line_->results(70).delays.least, 5ms);
}

TEST_F(Line, AConnectionStaysInOrderAcrossRules) {
  start({{0, fixed(30ms)}, {1, fixed(1ms)}});
  put(1, {0});
  put(2, {1});
  EXPECT_EQ(take().first, 1U);
  EXPECT_EQ(take().first, 2U);
  EXPECT_GT(line_->results(1).delays.least, 1ms);  // it had to wait
}

TEST_F(Line, BeatsAheadForAsLongAsItWorks) {
  start({{0, fixed(1ms)}});
  for (int i = 0; i < 5; ++i) {
    const std::uint64_t seen = beat_;
    ASSERT_GT(seen, 0U);
    const auto patience = Clock::now() + 20s;
    while (beat_ == seen && Clock::now() < patience) {
      std::this_thread::yield();
    }
    EXPECT_GT(beat_, seen);
    EXPECT_LE(beat_, in(DelayLine::kHeartbeat));
  }
}

TEST_F(Line, ARuleThatEndsLetsGoOfItsOwn) {
  start({{0, fixed(1h)}, {1, fixed(1h)}});
  put(1, {0}, 1);
  put(2, {1}, 2);
  put(3, {0, 1}, 3);
  line_->end(0);
  EXPECT_EQ(take().first, 1U);
  EXPECT_EQ(take().first, 3U);
  EXPECT_FALSE(comes(0));
  put(4, {0}, 4);  // was on its way
  EXPECT_EQ(take().first, 4U);
}

TEST_F(Line, NothingIsKeptBeyondTheDeadlineOfItsRule) {
  start({{0, fixed(1h)}});
  line_->begin(0, in(50ms));
  put(1, {0});
  EXPECT_LT(take().second, 1h);
}

TEST_F(Line, TheEndLetsGoOfEverythingInOrder) {
  start({{0, fixed(1h)}});
  for (std::uint32_t i = 0; i < 100; ++i) {
    put(i, {0}, i);
  }
  line_->finish();
  for (std::uint32_t i = 0; i < 100; ++i) {
    EXPECT_EQ(take().first, i);
  }
  EXPECT_EQ(line_->results(0).delays.packets, 100U);
  EXPECT_LT(line_->results(0).delays.most, 1h);
}

TEST_F(Line, WhatDoesNotFitLeavesAtOnceAndIsCounted) {
  start({{0, fixed(1h)}}, 2 * (kVirtioHeader + sizeof(hf_parcel) + kPayload));
  for (std::uint32_t i = 0; i < 3; ++i) {
    put(i, {0});
  }
  EXPECT_EQ(take().first, 2U);
  EXPECT_EQ(line_->results(0).overflowed, 1U);
  EXPECT_FALSE(comes(0));
}

plan::BandwidthParams megabit(std::uint64_t queue) {
  plan::BandwidthParams params;
  params.bits_per_second = 1e6;
  params.queue = queue;
  return params;
}

TEST_F(Line, ALinkLetsPacketsPassOneAfterTheOther) {
  start({{0, megabit(1 << 20)}});
  const auto began = Clock::now();
  for (std::uint32_t i = 0; i < 50; ++i) {
    put(i, {0}, i);  // whatever connection they are of
  }
  for (std::uint32_t i = 0; i < 50; ++i) {
    EXPECT_EQ(take().first, i);
  }
  constexpr Duration kEach = std::chrono::nanoseconds(kPayload * 8 * 1000);
  EXPECT_GE(Clock::now() - began, 50 * kEach);
  const DelayLine::Results results = line_->results(0);
  EXPECT_GT(results.queued, 0U);
  EXPECT_GT(results.bits_per_second, 0);
  EXPECT_EQ(results.dropped_packets, 0U);
}

TEST_F(Line, WhatFindsTheQueueFullIsDropped) {
  plan::BandwidthParams slow = megabit(2 * kPayload);
  slow.bits_per_second = 10;
  start({{0, slow}});
  for (std::uint32_t i = 0; i < 10; ++i) {
    put(i, {0});
  }
  line_->end(0);
  const DelayLine::Results results = line_->results(0);
  EXPECT_EQ(results.dropped_packets, 7U);
  EXPECT_EQ(results.dropped_bytes, 7 * kPayload);
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(take().first, i);
  }
  EXPECT_FALSE(comes(0));
}

TEST_F(Line, WhatIsReorderedIsOvertakenByItsOwnConnection) {
  start({{0, plan::ReorderParams{.delay = 1h}}, {1, fixed(1ms)}});
  put(1, {0, 1});
  put(2, {1});
  put(3, {1});
  EXPECT_EQ(take().first, 2U);
  EXPECT_EQ(take().first, 3U);
  EXPECT_FALSE(comes(0));
  line_->end(0);
  EXPECT_EQ(take().first, 1U);
}

TEST_F(Line, CopiesAreKeptAsTheirOriginals) {
  start({{0, fixed(20ms)}});
  put(7, {0}, 0, 1);
  EXPECT_GE(take().second, 20ms);
  const auto [number, after] = take();
  EXPECT_EQ(number, 7U);
  EXPECT_GE(after, 20ms);
  EXPECT_FALSE(comes(0));
  EXPECT_EQ(line_->results(0).delays.packets, 2U);
}

TEST_F(Line, ARuleThatChangesTreatsLaterPacketsSo) {
  start({{0, fixed(1h)}});
  put(1, {0}, 1);
  line_->retune(0, fixed(1ms));
  const auto patience = Clock::now() + 20s;
  std::uint32_t number = 2;
  do {  // when the thread has seen it
    put(number, {0}, number);
    ++number;
  } while (!comes(50) && Clock::now() < patience);
  EXPECT_GE(take().first, 2U);
}

TEST_F(Line, WhatIsNoParcelIsForgotten) {
  start({{0, fixed(1ms)}});
  ASSERT_EQ(::send(kernel_.get(), "short", 5, 0), 5);
  put(1, {0});
  EXPECT_EQ(take().first, 1U);
}

TEST_F(Line, RulesThatItDoesNotKnowDelayNothing) {
  start({{0, fixed(1h)}});
  put(1, {200});
  EXPECT_EQ(take().first, 1U);
}

}  // namespace
}  // namespace holdfast::agent
