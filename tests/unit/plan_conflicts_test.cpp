// Which actions can't be at the same time.
#include "common/plan_conflicts.h"

#include <gtest/gtest.h>

#include "tests/unit/plan_parsing.h"

namespace holdfast::plan {
namespace {

std::string action(const std::string& name, const std::string& rest) {
  return "    - {name: " + name + ", duration: 10s, " + rest + "}\n";
}

const std::string kEdge = "target: {netns: edge}";

struct Pair {
  const char *first, *second;
  const char* words;  // of the refusal; empty: they go together
};

TEST(PlanConflicts, OfTwoActions) {
  const Pair pairs[] = {
      {"fault: blackhole", "fault: latency, latency: {delay: 1s}",
       "\"a\" takes all of the traffic of \"b\""},
      {"fault: latency, latency: {delay: 1s}", "fault: blackhole",
       "\"b\" takes all of the traffic of \"a\""},
      {"fault: loss, loss: {percent: 100%}", "fault: duplicate, duplicate: {percent: 1%}",
       "takes all"},
      {"fault: blackhole, match: {addresses: [10.0.0.0/8], direction: both}",
       "fault: loss, loss: {percent: 1%}, match: {addresses: [10.1.0.0/16, 10.2.3.4], ports: [80]}",
       "takes all"},
      {"fault: blackhole, match: {ports: [\"80-90\"]}",
       "fault: loss, loss: {percent: 1%}, match: {ports: [85]}", "takes all"},
      {"fault: blackhole", "fault: noop", ""},
      {"fault: blackhole", "fault: blackhole", ""},
      {"fault: blackhole, match: {addresses: [10.1.0.0/16]}",
       "fault: loss, loss: {percent: 1%}, match: {addresses: [10.0.0.0/8]}", ""},
      {"fault: blackhole, match: {addresses: [10.0.0.0/8]}", "fault: loss, loss: {percent: 1%}",
       ""},
      {"fault: blackhole, match: {direction: from}", "fault: loss, loss: {percent: 1%}", ""},
      {"fault: blackhole, match: {protocol: udp}", "fault: loss, loss: {percent: 1%}", ""},
      {"fault: blackhole, match: {flows: 50%}", "fault: loss, loss: {percent: 1%}", ""},
      {"fault: blackhole, match: {connections: new}", "fault: loss, loss: {percent: 1%}", ""},
      {"fault: blackhole, pulse: {active: 1s, dormant: 1s}", "fault: loss, loss: {percent: 1%}",
       ""},
      {"fault: loss, loss: {percent: {from: 0%, to: 100%, over: 5s}}",
       "fault: latency, latency: {delay: 1s}", ""},
      {"fault: blackhole, match: {hosts: [api.test]}",
       "fault: loss, loss: {percent: 1%}, match: {hosts: [api.test]}", "takes all"},
      {"fault: blackhole, match: {hosts: [api.test]}",
       "fault: loss, loss: {percent: 1%}, match: {hosts: [web.test]}", ""},
      {"fault: blackhole, blackhole: {how: refuse}", "fault: blackhole, blackhole: {how: drop}",
       "tell the same senders different things"},
      {"fault: blackhole, blackhole: {how: refuse}, match: {ports: [80]}",
       "fault: blackhole, blackhole: {how: drop}, match: {ports: [81]}", ""},
      {"fault: dns, dns: {response: nxdomain, names: [a.test]}",
       "fault: dns, dns: {response: servfail, names: [b.test, a.test]}",
       "answer differently for a.test"},
      {"fault: dns, dns: {response: nxdomain, names: [a.test]}",
       "fault: dns, dns: {response: servfail, names: [b.test]}", ""},
  };
  for (const Pair& pair : pairs) {
    const auto outcome =
        parse(action("a", kEdge + ", " + pair.first) + action("b", kEdge + ", " + pair.second));
    const std::string said =
        outcome.diagnostics.empty() ? "nothing" : outcome.diagnostics.front().text();
    if (*pair.words == '\0') {
      EXPECT_TRUE(outcome.experiment) << pair.first << " / " << pair.second << ": " << said;
    } else {
      EXPECT_EQ(outcome.diagnostics.size(), 1U) << pair.first << " / " << pair.second;
      EXPECT_TRUE(says(outcome, pair.words)) << pair.first << " / " << pair.second << ": " << said;
    }
  }
}

TEST(PlanConflicts, OnlyWhereAndWhenTheyMeet) {
  const std::string cut = kEdge + ", fault: blackhole";
  const std::string slow = "fault: latency, latency: {delay: 1s}";
  EXPECT_TRUE(parse(action("a", cut) + action("b", "target: {netns: other}, " + slow)).experiment);
  EXPECT_TRUE(
      parse(action("a", cut) + action("b", kEdge + ", startAfter: 10s, " + slow)).experiment);
  EXPECT_TRUE(parse(action("a", cut) + action("b", kEdge + ", startAfter: a, " + slow)).experiment);
  EXPECT_FALSE(
      parse(action("a", cut) + action("b", kEdge + ", startAfter: 9s, " + slow)).experiment);
  EXPECT_FALSE(parse(action("a", cut + ", startAfter: 12s") +
                     action("c", kEdge + ", fault: noop, startAfter: 2s") +
                     action("b", kEdge + ", startAfter: c, " + slow))
                   .experiment);
}

}  // namespace
}  // namespace holdfast::plan
