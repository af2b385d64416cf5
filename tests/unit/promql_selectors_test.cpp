#include "controller/verify/promql_selectors.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::verify {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Every selector as `text`, behind it its window in ms where it looks back, and "shifted".
std::vector<std::string> found(std::string_view promql) {
  const auto selectors = find_selectors(promql);
  if (!selectors) {
    return {"error: " + selectors.error().message};
  }
  std::vector<std::string> out;
  for (const Selector& selector : *selectors) {
    std::string text = selector.text;
    if (selector.window.count() > 0) {
      text += fmt::format(" window {}", selector.window.count());
    }
    out.push_back(text + (selector.shifted ? " shifted" : ""));
  }
  return out;
}

std::string metric_of(std::string_view promql) {
  const auto selectors = find_selectors(promql);
  return selectors && selectors->size() == 1 ? selectors->front().metric : "not one selector";
}

TEST(PromqlSelectors, PlainMetric) {
  EXPECT_THAT(found("up"), ElementsAre("up"));
  EXPECT_THAT(found("  job:requests:rate5m  "), ElementsAre("job:requests:rate5m"));
  EXPECT_THAT(found(R"(up{job="a"})"), ElementsAre(R"(up{job="a"})"));
  EXPECT_THAT(found(R"(up {job="a", } )"), ElementsAre(R"(up {job="a", })"));
  EXPECT_THAT(found("up{}"), ElementsAre("up{}"));
}

TEST(PromqlSelectors, MetricName) {
  EXPECT_EQ(metric_of("up"), "up");
  EXPECT_EQ(metric_of(R"({__name__="up", job="a"})"), "up");
  EXPECT_EQ(metric_of(R"({job="a", __name__='a"b'})"), "a\"b");
  EXPECT_EQ(metric_of(R"({"http.requests", job="a"})"), "http.requests");
  EXPECT_EQ(metric_of(R"({job="a"})"), "");
  EXPECT_EQ(metric_of(R"({__name__=~"up|down"})"), "");
  EXPECT_EQ(metric_of(R"({__name__!="up"})"), "");
}

TEST(PromqlSelectors, NothingThatIsNoSelector) {
  EXPECT_THAT(found("1"), IsEmpty());
  EXPECT_THAT(found("-1.5e-3 + 0x1F * .5 ^ Inf - NaN"), IsEmpty());
  EXPECT_THAT(found("time()"), IsEmpty());
  EXPECT_THAT(found("vector(1) == bool 1"), IsEmpty());
  EXPECT_THAT(found(R"("up{job=\"a\"}")"), IsEmpty());
  EXPECT_THAT(found("hour() - minute( )"), IsEmpty());
}

TEST(PromqlSelectors, RangesAndSubqueries) {
  EXPECT_THAT(found("rate(x[10s])"), ElementsAre("x window 10000"));
  EXPECT_THAT(found("rate(x [ 1h30m ])"), ElementsAre("x window 5400000"));
  EXPECT_THAT(found("max_over_time(x[5m:])"), ElementsAre("x window 300000"));
  EXPECT_THAT(found("max_over_time(x[5m:1s])"), ElementsAre("x window 300000"));
  EXPECT_THAT(found("max_over_time(rate(x[10s])[5m:1s]) + y"), ElementsAre("x window 310000", "y"));
  EXPECT_THAT(found("max_over_time((a / b)[1m:] ) - c"),
              ElementsAre("a window 60000", "b window 60000", "c"));
  EXPECT_THAT(found("avg_over_time(sum(a) by (job)[5s:1s])"), ElementsAre("a window 5000"));
  EXPECT_THAT(found("rate(x[300])"), ElementsAre("x window 300000"));
}

TEST(PromqlSelectors, OffsetAndAt) {
  EXPECT_THAT(found("a offset 5m"), ElementsAre("a shifted"));
  EXPECT_THAT(found("a OFFSET -5m - b"), ElementsAre("a shifted", "b"));
  EXPECT_THAT(found("a + b offset 5m"), ElementsAre("a", "b shifted"));
  EXPECT_THAT(found("rate(a[5m] offset 1h)"), ElementsAre("a window 300000 shifted"));
  EXPECT_THAT(found("a @ 1609746000 + b"), ElementsAre("a shifted", "b"));
  EXPECT_THAT(found("a @ end() offset 1m / b @ start ( )"), ElementsAre("a shifted", "b shifted"));
  EXPECT_THAT(found("b + max_over_time((a + sum(c))[5m:] offset 1h)"),
              ElementsAre("b", "a window 300000 shifted", "c window 300000 shifted"));
}

TEST(PromqlSelectors, LabelListsAreNoMetrics) {
  EXPECT_THAT(found("sum by (job, instance) (a)"), ElementsAre("a"));
  EXPECT_THAT(found("sum(a) by (job)"), ElementsAre("a"));
  EXPECT_THAT(found("SUM WITHOUT(job)(a)"), ElementsAre("a"));
  EXPECT_THAT(found("topk by (job) (5, a)"), ElementsAre("a"));
  EXPECT_THAT(found("sum by () (a)"), ElementsAre("a"));
  EXPECT_THAT(found(R"(sum by ("x.y") (a))"), ElementsAre("a"));
  EXPECT_THAT(found("a * on (job) group_left (version) b"), ElementsAre("a", "b"));
  EXPECT_THAT(found("a / ignoring(code) group_right b"), ElementsAre("a", "b"));
  EXPECT_THAT(found("a > bool on(job) b"), ElementsAre("a", "b"));
  EXPECT_THAT(found("a and on() b unless ignoring (x) c or d"), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(found("a atan2 b"), ElementsAre("a", "b"));
}

TEST(PromqlSelectors, KeywordsAsMetrics) {
  EXPECT_THAT(found("sum"), ElementsAre("sum"));
  EXPECT_THAT(found("by + offset"), ElementsAre("by", "offset"));
  EXPECT_THAT(found(R"(count{a="b"} / sum(sum))"), ElementsAre(R"(count{a="b"})", "sum"));
  EXPECT_THAT(found("start + end"), ElementsAre("start", "end"));
  EXPECT_THAT(found("infinity + nano"), ElementsAre("infinity", "nano"));
}

TEST(PromqlSelectors, StringsHideEverything) {
  EXPECT_THAT(found(R"(a{x="} or b{",y='\'}',z=`"\`} + c)"),
              ElementsAre(R"(a{x="} or b{",y='\'}',z=`"\`})", "c"));
  EXPECT_THAT(found(R"q(label_replace(a, "dst", "$1 # up", "src", "(.*)"))q"), ElementsAre("a"));
  EXPECT_THAT(found(R"(a{x="\\"} + b)"), ElementsAre(R"(a{x="\\"})", "b"));
  EXPECT_THAT(found(R"(count_values("version", build_info))"), ElementsAre("build_info"));
}

TEST(PromqlSelectors, Comments) {
  EXPECT_THAT(found("a # + b\n + c # d"), ElementsAre("a", "c"));
  EXPECT_THAT(found("# only\nup"), ElementsAre("up"));
}

TEST(PromqlSelectors, QueriesOfTheField) {
  EXPECT_THAT(found(R"(sum(rate(http_requests_total{job="checkout",code!~"5.."}[10s]))
               / sum(rate(http_requests_total{job="checkout"}[10s])))"),
              ElementsAre(R"(http_requests_total{job="checkout",code!~"5.."} window 10000)",
                          R"(http_requests_total{job="checkout"} window 10000)"));
  EXPECT_THAT(found("histogram_quantile(0.99, sum by (le) (rate(latency_seconds_bucket[1m]))) "
                    "< bool 0.25"),
              ElementsAre("latency_seconds_bucket window 60000"));
  EXPECT_THAT(
      found(R"(1 - avg(rate(node_cpu_seconds_total{mode="idle"}[5m])) by (instance)
                       > on(instance) group_left(nodename) (node_uname_info * 0 + 0.8))"),
      ElementsAre(R"(node_cpu_seconds_total{mode="idle"} window 300000)", "node_uname_info"));
  EXPECT_THAT(found(R"(sum(haproxy_server_status{state="UP",proxy="be_app"}) or on() vector(0))"),
              ElementsAre(R"(haproxy_server_status{state="UP",proxy="be_app"})"));
  EXPECT_THAT(found(R"(absent(up{job="edge"} == 1))"), ElementsAre(R"(up{job="edge"})"));
  EXPECT_THAT(found("predict_linear(node_filesystem_free_bytes[1h], 4 * 3600) < 0"),
              ElementsAre("node_filesystem_free_bytes window 3600000"));
  EXPECT_THAT(found("sum(increase(errors_total[1h])) / sum(increase(errors_total[1h] offset 1d))"),
              ElementsAre("errors_total window 3600000", "errors_total window 3600000 shifted"));
  EXPECT_THAT(found("-(sum(a) - -b) ^ 2 % 3 != 4"), ElementsAre("a", "b"));
  EXPECT_THAT(found("quantile_over_time(0.9, (sum(rate(a[1m])) / sum(rate(b[1m])))[30m:10s])"),
              ElementsAre("a window 1860000", "b window 1860000"));
}

TEST(PromqlSelectors, WhatCannotBeFollowedIsAnError) {
  for (const std::string_view broken :
       {"", "up{", "up)", "(up", "up up", "up{job}x", "sum by (job", "up[5m", "up[five]", "up +",
        "\"open", "a, b", "up offset", "up @ x", "up{job=~}", "up{job \"a\"}", "~up", "up = 1"}) {
    const auto selectors = find_selectors(broken);
    ASSERT_FALSE(selectors) << broken;
    EXPECT_EQ(selectors.error().kind, ErrorKind::usage);
    EXPECT_THAT(selectors.error().message, HasSubstr("character ")) << broken;
  }
}

}  // namespace
}  // namespace holdfast::verify
