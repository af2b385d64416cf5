#include "controller/verify/prometheus_api.h"

#include <fmt/format.h>

namespace holdfast::verify {
namespace {

// Reads a response with one of prometheus_response.h's functions; what never became a response
// stays an error.
template <class Parse>
auto read(const Result<HttpResponse>& response, Parse parse) -> decltype(parse(0L, "")) {
  if (!response) {
    return std::unexpected(ApiError{ApiError::Kind::unreachable, response.error().message});
  }
  if (!response->location.empty()) {
    return std::unexpected(ApiError{
        ApiError::Kind::refused,
        fmt::format("the server redirects to {}: redirects are not followed, put the right url "
                    "into the plan",
                    one_line(response->location))});
  }
  return parse(response->status, response->body);
}

}  // namespace

ApiResult<QueryResult> PrometheusApi::query(const std::string& promql, std::optional<double> at) {
  Form form{{"query", promql}};
  if (at) {
    form.emplace_back("time", fmt::format("{:.3f}", *at));
  }
  if (timeout_.count() > 0) {
    form.emplace_back("timeout",
                      fmt::format("{:.3f}", std::chrono::duration<double>(timeout_).count()));
  }
  return read(client_.post("/api/v1/query", form), parse_query_response);
}

ApiResult<std::vector<ScrapeTarget>> PrometheusApi::active_targets() {
  return read(client_.get("/api/v1/targets?state=active"), parse_targets_response);
}

ApiResult<GlobalIntervals> PrometheusApi::global_intervals() {
  return read(client_.get("/api/v1/status/config"), parse_config_response);
}

}  // namespace holdfast::verify
