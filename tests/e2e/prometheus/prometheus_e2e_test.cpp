// Probes against a real Prometheus: what it answers, how old that is, and what happens when it does
// not answer.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "controller/verify/prometheus.h"
#include "tests/e2e/prometheus/servers.h"

namespace holdfast::verify::e2e {
namespace {

using plan::Comparison;
using ::testing::AllOf;
using ::testing::HasSubstr;

plan::Probe probe_of(std::string query, Comparison comparison, double bound) {
  plan::Probe probe;
  probe.name = "probe";
  probe.query = std::move(query);
  probe.tolerance = {comparison, bound};
  return probe;
}

std::unique_ptr<ProbeEvaluator> evaluator_of(const plan::PrometheusConfig& config) {
  auto evaluator = make_prometheus_evaluator(config);
  EXPECT_TRUE(evaluator) << evaluator.error().message;
  return std::move(*evaluator);
}

// Milliseconds since the epoch, as the exposition format has it.
std::int64_t wall_clock_ms(std::chrono::seconds ago) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch() - ago)
      .count();
}

// nginx that serves a file as /metrics.
class Exporter {
 public:
  explicit Exporter(std::string_view metrics)
      : file_(dir_.write("metrics", metrics)),
        server_(fmt::format("    default_type text/plain;\n    root {};\n",
                            std::filesystem::path(file_).parent_path().string())) {}
  std::string address() const { return server_.address(); }
  void stop() { server_.stop(); }

 private:
  TempDir dir_;
  std::string file_;
  NginxServer server_;
};

std::string job(std::string_view name, std::string_view address) {
  return fmt::format("- job_name: {}\n  static_configs: [{{targets: ['{}']}}]\n", name, address);
}

constexpr std::string_view kEverySecond =
    "global: {scrape_interval: 1s, evaluation_interval: 1s}\n";

// One Prometheus that scrapes three exporters every second: a healthy one, one whose samples carry
// a time long ago, and one for a test to stop.
class PrometheusProbes : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    healthy_ = std::make_unique<Exporter>(
        "backend_up{backend=\"one\"} 1\nbackend_up{backend=\"two\"} 0\nrequests_total 1000\n");
    frozen_ = std::make_unique<Exporter>(
        fmt::format("frozen_up 1 {}\n", wall_clock_ms(std::chrono::seconds(30))));
    mortal_ = std::make_unique<Exporter>("mortal_total 5\n");
    PrometheusServer::Options options;
    options.config = std::string(kEverySecond) + "scrape_configs:\n" +
                     job("healthy", healthy_->address()) + job("frozen", frozen_->address()) +
                     job("mortal", mortal_->address());
    server_ = std::make_unique<PrometheusServer>(std::move(options));
    auto evaluator = evaluator_of(server_->access());
    // Two scrapes of each, so that rates are there as well.
    const auto twice = probe_of("min(count_over_time(up[1m])) * count(up)", Comparison::ge, 6);
    ASSERT_TRUE(eventually([&] { return evaluator->evaluate(twice).status == Status::ok; }))
        << evaluator->evaluate(twice).detail;
  }
  static void TearDownTestSuite() {
    server_.reset();
    mortal_.reset();
    frozen_.reset();
    healthy_.reset();
  }

  Evaluation evaluate(std::string query, Comparison comparison, double bound) {
    return evaluator_->evaluate(probe_of(std::move(query), comparison, bound));
  }
  // For series that are scraped: on a machine under load a scrape may come late, and then the
  // samples really are stale for a moment.
  Evaluation evaluate_fresh(const std::string& query, Comparison comparison, double bound) {
    Evaluation evaluation;
    eventually([&] {
      evaluation = evaluate(query, comparison, bound);
      return !evaluation.detail.starts_with("stale");
    });
    return evaluation;
  }
  ErrorKind check_error(const std::string& query, const std::string& words) {
    const auto checked = evaluator_->check_query(probe_of(query, Comparison::ge, 0));
    if (checked) {
      ADD_FAILURE() << query << " was accepted";
      return ErrorKind::internal;
    }
    EXPECT_THAT(checked.error().message, HasSubstr(words));
    return checked.error().kind;
  }

  static std::unique_ptr<Exporter> healthy_, frozen_, mortal_;
  static std::unique_ptr<PrometheusServer> server_;
  std::unique_ptr<ProbeEvaluator> evaluator_ = evaluator_of(server_->access());
};
std::unique_ptr<Exporter> PrometheusProbes::healthy_, PrometheusProbes::frozen_,
    PrometheusProbes::mortal_;
std::unique_ptr<PrometheusServer> PrometheusProbes::server_;

TEST_F(PrometheusProbes, Passes) {
  const auto vector = evaluate_fresh("up{job=\"healthy\"}", Comparison::ge, 1);
  EXPECT_EQ(vector.status, Status::ok) << vector.detail;
  EXPECT_EQ(vector.value, 1);
  const auto scalar = evaluate_fresh("scalar(up{job=\"healthy\"}) * 2", Comparison::eq, 2);
  EXPECT_EQ(scalar.status, Status::ok) << scalar.detail;
  const auto rate = evaluate_fresh("sum by (job) (rate(requests_total[10s]))", Comparison::le, 0);
  EXPECT_EQ(rate.status, Status::ok) << rate.detail;
  const auto several =
      evaluate_fresh("{job=\"healthy\",__name__=~\"up|scrape_.*\"}", Comparison::ge, 0);
  EXPECT_EQ(several.status, Status::ok) << several.detail;
}

TEST_F(PrometheusProbes, MissesAndNamesTheSample) {
  const auto miss = evaluate_fresh("backend_up", Comparison::ge, 1);
  EXPECT_EQ(miss.status, Status::miss);
  EXPECT_EQ(miss.value, 0);
  EXPECT_THAT(miss.detail, AllOf(HasSubstr("1 of 2 samples misses >= 1"),
                                 HasSubstr("backend=\"two\""), HasSubstr("is 0")));
}

TEST_F(PrometheusProbes, NoSampleIsNoData) {
  EXPECT_THAT(evaluate("no_such_metric", Comparison::ge, 0).detail, HasSubstr("empty"));
  EXPECT_EQ(evaluate("no_such_metric", Comparison::ge, 0).status, Status::no_data);
  EXPECT_EQ(evaluate("backend_up > 5", Comparison::ge, 0).status, Status::no_data);
}

TEST_F(PrometheusProbes, DivisionsByZero) {
  const auto nan =
      evaluate_fresh("sum(rate(no_requests_total[10s])) / 0 or vector(0) / 0", Comparison::ge, 0);
  EXPECT_EQ(nan.status, Status::no_data);
  EXPECT_THAT(nan.detail, HasSubstr("NaN"));
  const auto infinite = evaluate_fresh("sum(backend_up) / 0", Comparison::ge, 0.5);
  EXPECT_EQ(infinite.status, Status::no_data);
  EXPECT_THAT(infinite.detail, HasSubstr("+Inf"));
  EXPECT_EQ(evaluate_fresh("sum(backend_up) / 0", Comparison::lt, 0.5).status, Status::miss);
}

TEST_F(PrometheusProbes, TypesWithoutASampleOfNow) {
  EXPECT_THAT(evaluate("up[1m]", Comparison::ge, 0).detail, HasSubstr("range vector"));
  EXPECT_THAT(evaluate("\"up\"", Comparison::ge, 0).detail, HasSubstr("string"));
}

TEST_F(PrometheusProbes, OldSamplesAreStale) {
  // The server itself answers happily: its look-back is 5 minutes.
  for (const char* query : {"frozen_up", "1 - (1 - frozen_up)", "max(frozen_up or up)",
                            "max_over_time(frozen_up[2m])", "{job=\"frozen\"}"}) {
    const auto stale = evaluate(query, Comparison::ge, 0);
    EXPECT_EQ(stale.status, Status::no_data) << query;
    EXPECT_THAT(stale.detail, AllOf(HasSubstr("stale"), HasSubstr("frozen_up{"),
                                    HasSubstr("scrape interval is 1 s")))
        << query;
  }
  // A miss on stale samples says nothing about the service either.
  EXPECT_EQ(evaluate("frozen_up", Comparison::ge, 2).status, Status::no_data);
  // What the plan says about intervals goes before what the server says.
  auto config = server_->access();
  config.scrape_interval = std::chrono::minutes(10);
  const auto fresh = evaluator_of(config)->evaluate(probe_of("frozen_up", Comparison::ge, 1));
  EXPECT_EQ(fresh.status, Status::ok) << fresh.detail;
  // Asked for explicitly, the past is no fault.
  const auto past = evaluate("frozen_up offset 1s", Comparison::ge, 1);
  EXPECT_EQ(past.status, Status::ok) << past.detail;
}

TEST_F(PrometheusProbes, SeriesOfAStoppedTargetAreStale) {
  const char* look_back = "max_over_time(mortal_total[5m])";
  ASSERT_TRUE(
      eventually([&] { return evaluate(look_back, Comparison::eq, 5).status == Status::ok; }));
  mortal_->stop();
  ASSERT_TRUE(eventually(
      [&] { return evaluate("up{job=\"mortal\"}", Comparison::eq, 0).status == Status::ok; }));
  EXPECT_THAT(evaluate("mortal_total", Comparison::eq, 5).detail, HasSubstr("empty"));
  for (const char* query : {look_back, "max_over_time(mortal_total[5m:1s])",
                            "sum(max_over_time({__name__=~\"mortal_.*\"}[5m]))"}) {
    const auto ended = evaluate(query, Comparison::eq, 5);
    EXPECT_EQ(ended.status, Status::no_data) << query;
    EXPECT_THAT(ended.detail, AllOf(HasSubstr("stale"), HasSubstr("mortal_"), HasSubstr("ended")));
  }
}

TEST_F(PrometheusProbes, LongQueries) {
  const std::string query = "up{job=\"healthy\",instance!=\"" + std::string(100'000, 'x') + "\"}";
  const auto ok = evaluate_fresh(query, Comparison::ge, 1);
  EXPECT_EQ(ok.status, Status::ok) << ok.detail;
}

TEST_F(PrometheusProbes, QueriesAreChecked) {
  EXPECT_TRUE(evaluator_->check_query(probe_of("sum(no_such_metric)", Comparison::ge, 0)));
  // It parses; what makes it fail is the data of this moment.
  EXPECT_TRUE(evaluator_->check_query(probe_of("up + on (x) up", Comparison::ge, 0)));
  EXPECT_EQ(check_error("sum(up", "parse error"), ErrorKind::usage);
  EXPECT_EQ(check_error("", "parse error"), ErrorKind::usage);
  EXPECT_EQ(check_error("up[5m]", "range vector"), ErrorKind::usage);
  EXPECT_EQ(check_error("\"up\"", "string"), ErrorKind::usage);
  EXPECT_THAT(evaluate("sum(up", Comparison::ge, 0).detail, HasSubstr("parse error"));
  EXPECT_THAT(evaluate("up + on (x) up", Comparison::ge, 0).detail, HasSubstr("many-to-many"));
}

// The server takes every expression that the scanner takes, and the other way round: what the
// scanner's unit tests assume about the language holds for this server.
TEST_F(PrometheusProbes, TheServerAgreesAboutTheLanguage) {
  for (const char* query :
       {"sum", "by + offset", "start + end", "up {job=\"a\",}", "SUM WITHOUT(job)(up)",
        "sum by () (up)", "up # + b\n + up # d", "up OFFSET -5m - up", "up > bool on(job) up",
        "up atan2 up", "max_over_time((up / up)[1m:] )", "avg_over_time(sum(up) by (job)[5s:1s])",
        "{__name__=\"up\", job='a'}", "up @ end() offset 1m / up @ start ( )",
        "-1.5e-3 + 0x1F * .5 ^ Inf"}) {
    const auto checked = evaluator_->check_query(probe_of(query, Comparison::ge, 0));
    EXPECT_TRUE(checked) << query << ": " << checked.error().message;
  }
}

TEST(PrometheusWarnings, AreNoData) {
  PrometheusServer::Options options;
  options.config = fmt::format(
      "remote_read: [{{url: 'http://127.0.0.1:{}/read', read_recent: true}}]\n", free_port());
  const PrometheusServer server(std::move(options));
  const auto evaluation =
      evaluator_of(server.access())->evaluate(probe_of("up or vector(1)", Comparison::ge, 1));
  EXPECT_EQ(evaluation.status, Status::no_data);
  EXPECT_THAT(evaluation.detail, HasSubstr("the server warns: "));
}

TEST(PrometheusOutage, HangingComingBackAndGone) {
  PrometheusServer server;
  auto config = server.access();
  config.timeout = std::chrono::milliseconds(500);
  auto evaluator = evaluator_of(config);
  const auto probe = probe_of("vector(1)", Comparison::ge, 1);
  const auto passes = [&] { return evaluator->evaluate(probe).status == Status::ok; };
  ASSERT_TRUE(eventually(passes));

  server.process().stop();
  const auto hanging = evaluator->evaluate(probe);
  EXPECT_EQ(hanging.status, Status::no_data);
  EXPECT_THAT(hanging.detail, AllOf(HasSubstr("no answer"), HasSubstr("within 500 ms")));
  const auto checked = evaluator->check_query(probe);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::unavailable);

  server.process().signal(SIGCONT);
  EXPECT_TRUE(eventually(passes));

  server.process().kill();
  const auto gone = evaluator->evaluate(probe);
  EXPECT_EQ(gone.status, Status::no_data);
  EXPECT_THAT(gone.detail, AllOf(HasSubstr("can't connect"), HasSubstr("refused")));
}

TEST(PrometheusNetns, OnlyTheCallingThreadGoesIntoTheNamespace) {
  const NetworkNamespace netns;
  PrometheusServer::Options options;
  options.netns = netns.name();
  const PrometheusServer server(std::move(options));
  const auto probe = probe_of("vector(1)", Comparison::ge, 1);

  for (const std::string& name : {netns.name(), "/run/netns/" + netns.name()}) {
    Evaluation inside;
    std::thread([&] {
      auto config = server.access();
      config.netns = name;
      inside = evaluator_of(config)->evaluate(probe);
    }).join();
    EXPECT_EQ(inside.status, Status::ok) << inside.detail;
  }
  auto config = server.access();
  config.netns.clear();
  EXPECT_THAT(evaluator_of(config)->evaluate(probe).detail, HasSubstr("can't connect"));
}

TEST(PrometheusNetns, Absent) {
  auto config = config_for("http://127.0.0.1:9090");
  for (const auto& [name, kind] : {std::pair("hf-no-such-namespace", ErrorKind::not_found),
                                   std::pair("/etc/passwd", ErrorKind::usage)}) {
    config.netns = name;
    const auto evaluator = make_prometheus_evaluator(config);
    ASSERT_FALSE(evaluator);
    EXPECT_EQ(evaluator.error().kind, kind);
    EXPECT_THAT(evaluator.error().message, HasSubstr(name));
  }
}

}  // namespace
}  // namespace holdfast::verify::e2e
