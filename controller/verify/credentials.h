// Who we are to the server: read from the plan's files when asked, never kept longer than one
// request.
#pragma once

#include <string>

#include "common/plan.h"
#include "common/result.h"

namespace holdfast::verify {

struct Credentials {
  std::string bearer_token;  // empty: none
  std::string username;      // empty: no basic authentication
  std::string password;
};

// Errors: usage, with the file's name (missing, unreadable, empty, too large, control characters in
// it).
Result<Credentials> read_credentials(const plan::PrometheusConfig& config);

}  // namespace holdfast::verify
