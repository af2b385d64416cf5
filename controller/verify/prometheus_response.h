// The answers of Prometheus' HTTP API v1 as values. Pure: bytes in, values out.
#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/verify/sample.h"

namespace holdfast::verify {

// Why the server gave no result.
struct ApiError {
  enum class Kind {
    bad_query,    // the server can't parse the query
    execution,    // it can, but not evaluate it (many-to-many matching, too many samples)
    refused,      // any other answer that is not a success: authentication, a proxy's error page
    malformed,    // says success, but is not what the API promises
    unreachable,  // no answer: connection, TLS, timeout
  };
  Kind kind = Kind::malformed;
  std::string message;  // one line, the server's own words where it has some
};

template <class T>
using ApiResult = std::expected<T, ApiError>;

// One scrape target, as far as the age of its samples goes.
struct ScrapeTarget {
  std::string job, instance;
  std::chrono::milliseconds interval{0};
};

// The intervals of the server's configuration that hold where nothing else is said.
struct GlobalIntervals {
  std::chrono::milliseconds scrape{0};
  std::chrono::milliseconds evaluation{0};  // of recording rules
};

// Answer of /api/v1/query. Types matrix and string are no error, but have no samples.
ApiResult<QueryResult> parse_query_response(long http_status, std::string_view body);

// Answer of /api/v1/targets. Targets without an interval (Prometheus before 2.30) are left out.
ApiResult<std::vector<ScrapeTarget>> parse_targets_response(long http_status,
                                                            std::string_view body);

// Answer of /api/v1/status/config.
ApiResult<GlobalIntervals> parse_config_response(long http_status, std::string_view body);

// A sample's number as the API writes it: decimal, "NaN", "+Inf", "-Inf" and nothing else.
std::optional<double> parse_sample_number(std::string_view text);

}  // namespace holdfast::verify
