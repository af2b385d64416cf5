// HTTP to one server, over libcurl: the only file pair that sees it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/plan.h"
#include "common/result.h"

namespace holdfast::verify {

struct HttpResponse {
  long status = 0;
  std::string body;  // at most kMaxResponseBytes
  std::string
      location;  // where a redirect points to; not followed: it would take the credentials along
};

inline constexpr std::size_t kMaxResponseBytes = 8 * 1024 * 1024;

// Names and values, encoded when they are sent.
using Form = std::vector<std::pair<std::string, std::string>>;

// Requests to the server of a plan, with its credentials and TLS settings. The connection is kept
// from one request to the next. Not shared between threads. Proxies of the environment are not
// used: a probe says what this node sees.
class HttpClient {
 public:
  // Errors: usage (an unreadable credential or TLS file, a URL that is not http or https).
  static Result<HttpClient> make(const plan::PrometheusConfig& config);

  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;
  ~HttpClient();

  // `path` starts with a slash and is put behind the URL. Credential files are read anew for every
  // request: tokens rotate. Any HTTP status is a response. Errors: unavailable (no answer within
  // the timeout, connection, TLS, too large, credential file gone).
  Result<HttpResponse> get(std::string_view path);
  Result<HttpResponse> post(std::string_view path, const Form& form);

  // The URL without user and password, for messages.
  const std::string& shown_url() const;

 private:
  struct State;
  explicit HttpClient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::verify
