// The few questions that a probe asks a Prometheus server: the seam between what they mean and how
// they travel.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/verify/prometheus_response.h"

namespace holdfast::verify {

class ServerApi {
 public:
  virtual ~ServerApi() = default;
  // An instant query, evaluated at `at` (the server's clock, seconds since the epoch) or now.
  virtual ApiResult<QueryResult> query(const std::string& promql, std::optional<double> at) = 0;
  virtual ApiResult<std::vector<ScrapeTarget>> active_targets() = 0;
  virtual ApiResult<GlobalIntervals> global_intervals() = 0;
};

}  // namespace holdfast::verify
