#include "controller/verify/prometheus_response.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace holdfast::verify {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = ApiError::Kind;

ApiResult<QueryResult> query_answer(std::string_view data, std::string_view more = "") {
  return parse_query_response(200, std::string(R"({"status":"success","data":)") +
                                       std::string(data) + std::string(more) + "}");
}

ApiResult<QueryResult> vector_of(std::string_view elements) {
  return query_answer(R"({"resultType":"vector","result":[)" + std::string(elements) + "]}");
}

TEST(PrometheusResponse, Vector) {
  const auto result =
      vector_of(R"({"metric":{"__name__":"up","job":"a"},"value":[1700000000.5,"1"]},)"
                R"({"metric":{},"value":[1700000000.5,"1e3"]})");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->type, QueryResult::Type::vector);
  ASSERT_EQ(result->samples.size(), 2u);
  EXPECT_EQ(result->samples[0].labels, (Labels{{"__name__", "up"}, {"job", "a"}}));
  EXPECT_EQ(result->samples[0].value, 1);
  EXPECT_EQ(result->samples[1].value, 1000);
  EXPECT_EQ(result->evaluated_at, 1700000000.5);
  EXPECT_THAT(result->warnings, IsEmpty());
}

TEST(PrometheusResponse, EmptyVectorIsNoError) {
  const auto result = vector_of("");
  ASSERT_TRUE(result);
  EXPECT_THAT(result->samples, IsEmpty());
}

TEST(PrometheusResponse, Scalar) {
  const auto result = query_answer(R"({"resultType":"scalar","result":[17,"-0.5"]})");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->type, QueryResult::Type::scalar);
  ASSERT_EQ(result->samples.size(), 1u);
  EXPECT_EQ(result->samples[0].value, -0.5);
}

TEST(PrometheusResponse, NativeHistogramHasNoNumber) {
  const auto result =
      vector_of(R"({"metric":{"a":"b"},"histogram":[17,{"count":"3","sum":"1","buckets":[]}]})");
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->samples[0].histogram);
  EXPECT_TRUE(std::isnan(result->samples[0].value));
}

TEST(PrometheusResponse, OtherTypesHaveNoSamples) {
  const auto matrix =
      query_answer(R"({"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]})");
  ASSERT_TRUE(matrix);
  EXPECT_EQ(matrix->type, QueryResult::Type::matrix);
  EXPECT_THAT(matrix->samples, IsEmpty());
  const auto string = query_answer(R"({"resultType":"string","result":[1,"a"]})");
  ASSERT_TRUE(string);
  EXPECT_EQ(string->type, QueryResult::Type::string);
}

TEST(PrometheusResponse, WarningsAreKept) {
  const auto result = query_answer(R"({"resultType":"vector","result":[]})",
                                   R"(,"warnings":["one\nstore is down"],"infos":["a gauge?"])");
  ASSERT_TRUE(result);
  EXPECT_THAT(result->warnings, ElementsAre("one store is down"));
}

TEST(PrometheusResponse, ErrorsInTheServersWords) {
  const auto bad = parse_query_response(
      400, R"({"status":"error","errorType":"bad_data","error":"1:4: parse error:\n oh"})");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().kind, Kind::bad_query);
  EXPECT_EQ(bad.error().message, "the server says bad_data: 1:4: parse error:  oh");
  const auto execution = parse_query_response(
      422, R"({"status":"error","errorType":"execution","error":"many-to-many"})");
  EXPECT_EQ(execution.error().kind, Kind::execution);
  const auto timeout = parse_query_response(
      503, R"({"status":"error","errorType":"timeout","error":"query timed out"})");
  EXPECT_EQ(timeout.error().kind, Kind::refused);
  // A status of 200 does not make an error a success.
  const auto mixed = parse_query_response(200, R"({"status":"error","error":"no"})");
  EXPECT_EQ(mixed.error().kind, Kind::refused);
}

TEST(PrometheusResponse, HttpErrorsWithoutJson) {
  const auto unauthorized = parse_query_response(401, "Unauthorized\n");
  ASSERT_FALSE(unauthorized);
  EXPECT_EQ(unauthorized.error().kind, Kind::refused);
  EXPECT_THAT(unauthorized.error().message, HasSubstr("HTTP 401"));
  EXPECT_THAT(unauthorized.error().message, HasSubstr("credentials"));
  EXPECT_THAT(parse_query_response(502, "<html>").error().message, HasSubstr("HTTP 502"));
  EXPECT_THAT(parse_query_response(404, "404 page not found").error().message,
              HasSubstr("is the url"));
  // A proxy's page that happens to be a success in JSON.
  EXPECT_EQ(parse_query_response(
                500, R"({"status":"success","data":{"resultType":"vector","result":[]}})")
                .error()
                .kind,
            Kind::refused);
}

TEST(PrometheusResponse, MalformedAnswers) {
  for (const char* body :
       {"", "<html>", "null", "[]", "{}", "{\"status\":\"success\"}", "{\"status\":1,\"data\":{}}",
        "{\"status\":\"success\",\"data\":null}", "{\"status\":\"success\",\"data\":[]}",
        "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\"", "\xff\xfe"}) {
    const auto result = parse_query_response(200, body);
    ASSERT_FALSE(result) << body;
    EXPECT_EQ(result.error().kind, Kind::malformed) << body;
  }
  for (const char* element :
       {"1", "null", "{}", R"({"metric":{}})", R"({"metric":{},"value":[1]})",
        R"({"metric":{},"value":[1,2]})", R"({"metric":{},"value":["1","2"]})",
        R"({"metric":{},"value":[1,"two"]})", R"({"metric":{"a":1},"value":[1,"1"]})",
        R"({"metric":[],"value":[1,"1"]})", R"({"metric":{},"value":[1,"1","1"]})",
        R"({"metric":{},"histogram":[1]})"}) {
    const auto result = vector_of(element);
    ASSERT_FALSE(result) << element;
    EXPECT_EQ(result.error().kind, Kind::malformed) << element;
  }
  EXPECT_FALSE(query_answer(R"({"resultType":"scalar","result":[]})"));
  EXPECT_FALSE(query_answer(R"({"resultType":"table","result":[]})"));
  EXPECT_FALSE(query_answer(R"({"resultType":"vector","result":{}})"));
  EXPECT_FALSE(query_answer(R"({"resultType":"vector","result":[]})", R"(,"warnings":"x")"));
}

TEST(PrometheusResponse, DeepNestingIsOnlyMalformed) {
  EXPECT_FALSE(parse_query_response(200, std::string(1'000'000, '[')));
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  EXPECT_FALSE(vector_of(deep));
}

TEST(PrometheusResponse, SampleNumbers) {
  EXPECT_EQ(parse_sample_number("0"), 0);
  EXPECT_EQ(parse_sample_number("-1.5e-3"), -0.0015);
  EXPECT_EQ(parse_sample_number("1e+06"), 1e6);
  EXPECT_EQ(parse_sample_number("5e-324"), 5e-324);
  EXPECT_EQ(parse_sample_number("1.7976931348623157e+308"), 1.7976931348623157e+308);
  EXPECT_EQ(parse_sample_number("+Inf"), INFINITY);
  EXPECT_EQ(parse_sample_number("-Inf"), -INFINITY);
  ASSERT_TRUE(parse_sample_number("NaN"));
  EXPECT_TRUE(std::isnan(*parse_sample_number("NaN")));
  for (const char* text : {"", " 1", "1 ", "+1", "1,5", "0x10", "inf", "Inf", "nan", "nan(1)", "1e",
                           "1e999", "--1", "1s", "infinity"}) {
    EXPECT_FALSE(parse_sample_number(text)) << text;
  }
}

TEST(PrometheusResponse, Targets) {
  const auto targets = parse_targets_response(200, R"({"status":"success","data":{"activeTargets":[
      {"labels":{"job":"a","instance":"h:1"},"scrapeInterval":"1s","health":"up"},
      {"labels":{"job":"b","instance":"h:2"},"scrapeInterval":"1m30s"},
      {"labels":{"job":"old","instance":"h:3"}},
      {"labels":{"job":"odd","instance":"h:4"},"scrapeInterval":"0s"},
      17],"droppedTargets":[]}})");
  ASSERT_TRUE(targets);
  ASSERT_EQ(targets->size(), 2u);
  EXPECT_EQ((*targets)[0].job, "a");
  EXPECT_EQ((*targets)[0].instance, "h:1");
  EXPECT_EQ((*targets)[0].interval, 1s);
  EXPECT_EQ((*targets)[1].interval, 90s);
  EXPECT_FALSE(parse_targets_response(200, R"({"status":"success","data":{}})"));
  EXPECT_FALSE(parse_targets_response(404, "404 page not found"));
}

ApiResult<GlobalIntervals> config_of(std::string_view yaml) {
  return parse_config_response(
      200, R"({"status":"success","data":{"yaml":")" + std::string(yaml) + R"("}})");
}

TEST(PrometheusResponse, GlobalIntervals) {
  const auto config = config_of(
      R"(global:\n  scrape_interval: 5s\n  scrape_timeout: 1s\n  evaluation_interval: 1m\n)"
      R"(  external_labels:\n    scrape_interval: 9s\nscrape_configs:\n- job_name: a\n)"
      R"(  scrape_interval: 7s\n)");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->scrape, 5s);
  EXPECT_EQ(config->evaluation, 60s);
  EXPECT_FALSE(config_of(R"(scrape_configs:\n- job_name: a\n  scrape_interval: 7s\n)"));
  EXPECT_FALSE(config_of(R"(global:\n  scrape_interval: often\n)"));
  EXPECT_FALSE(parse_config_response(200, R"({"status":"success","data":{"yaml":3}})"));
}

}  // namespace
}  // namespace holdfast::verify
