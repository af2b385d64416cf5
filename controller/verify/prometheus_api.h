// ServerApi over HTTP.
#pragma once

#include <chrono>

#include "controller/verify/http_client.h"
#include "controller/verify/server_api.h"

namespace holdfast::verify {

class PrometheusApi final : public ServerApi {
 public:
  // `timeout` is also told to the server, so that it gives up when nobody listens any more.
  PrometheusApi(HttpClient client, std::chrono::nanoseconds timeout)
      : client_(std::move(client)), timeout_(timeout) {}

  ApiResult<QueryResult> query(const std::string& promql, std::optional<double> at) override;
  ApiResult<std::vector<ScrapeTarget>> active_targets() override;
  ApiResult<GlobalIntervals> global_intervals() override;

 private:
  HttpClient client_;
  std::chrono::nanoseconds timeout_;
};

}  // namespace holdfast::verify
