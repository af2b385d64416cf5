#include "controller/verify/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <holdfast_version.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <system_error>

#include "controller/verify/credentials.h"
#include "controller/verify/sample.h"

namespace holdfast::verify {
namespace {

template <auto kFree>
struct FreedBy {
  template <class T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};
using EasyHandle = std::unique_ptr<CURL, FreedBy<curl_easy_cleanup>>;
using UrlHandle = std::unique_ptr<CURLU, FreedBy<curl_url_cleanup>>;
using HeaderList = std::unique_ptr<curl_slist, FreedBy<curl_slist_free_all>>;
using CurlText = std::unique_ptr<char, FreedBy<curl_free>>;

// Where a plan gives no timeout of its own.
constexpr std::chrono::milliseconds kDefaultTimeout{5000};

bool init_curl() {
  // Thread-safe in itself, never undone: other threads may be in the middle of a request at exit.
  static const bool done = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return done;
}

std::string url_part(CURLU* url, CURLUPart part, unsigned int flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) {
    return {};
  }
  const CurlText owner(text);
  return text;
}

Result<void> check_readable(const std::string& path, std::string_view what) {
  if (!path.empty() && ::access(path.c_str(), R_OK) != 0) {
    return fail(ErrorKind::usage, fmt::format("can't read the {}: {}: {}", what, path,
                                              std::generic_category().message(errno)));
  }
  return {};
}

struct Sink {
  std::string body;
  bool too_large = false;
};

std::size_t append_to_sink(char* data, std::size_t, std::size_t size, void* context) {
  auto& sink = *static_cast<Sink*>(context);
  if (sink.body.size() + size > kMaxResponseBytes) {
    sink.too_large = true;
    return 0;
  }
  sink.body.append(data, size);
  return size;
}

// Sets options and remembers the first that was refused, so that no request goes out half
// configured.
class Options {
 public:
  explicit Options(CURL* handle) : handle_(handle) {}
  template <class T>
  void set(CURLoption option, T value) {
    const CURLcode code = curl_easy_setopt(handle_, option, value);
    if (first_refusal_ == CURLE_OK) {
      first_refusal_ = code;
    }
  }
  // libcurl copies strings.
  void set_text(CURLoption option, const std::string& value) {
    if (!value.empty()) {
      set(option, value.c_str());
    }
  }
  CURLcode first_refusal() const { return first_refusal_; }

 private:
  CURL* handle_;
  CURLcode first_refusal_ = CURLE_OK;
};

}  // namespace

struct HttpClient::State {
  plan::PrometheusConfig config;
  EasyHandle handle;
  std::chrono::milliseconds timeout = kDefaultTimeout;
  std::string shown_url;
  // What is asked for: config.url, with the host replaced by tls.server_name where there is one …
  std::string request_url;
  // … and then where the connection goes instead, and the Host header it keeps.
  std::string connect_to, host_header;

  Result<void> read_url();
  void set_common(Options& options) const;
  void set_tls(Options& options) const;
  static void set_credentials(Options& options, const Credentials& credentials);
  Result<std::string> encode(const Form& form) const;
  Result<HttpResponse> perform(std::string_view path, const std::string* form);
  std::unexpected<Error> failure(CURLcode code, const char* curl_words) const;
};

Result<void> HttpClient::State::read_url() {
  const UrlHandle url(curl_url());
  if (url == nullptr ||
      curl_url_set(url.get(), CURLUPART_URL, config.url.c_str(), 0) != CURLUE_OK) {
    return fail(ErrorKind::usage, fmt::format("not a URL: {}", one_line(config.url)),
                "write it as http://host:port");
  }
  const std::string scheme = url_part(url.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") {
    return fail(ErrorKind::usage, fmt::format("Prometheus can't be asked over {}", scheme),
                "use an http:// or https:// URL");
  }
  const std::string host = url_part(url.get(), CURLUPART_HOST);
  const std::string port = url_part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  if (scheme == "https" && !config.tls.server_name.empty()) {
    // libcurl takes the name for SNI and for the certificate from the URL.
    if (curl_url_set(url.get(), CURLUPART_HOST, config.tls.server_name.c_str(), 0) != CURLUE_OK) {
      return fail(ErrorKind::usage, fmt::format("not a host name: tls.serverName \"{}\"",
                                                one_line(config.tls.server_name)));
    }
    connect_to = fmt::format("{}:{}:{}:{}", config.tls.server_name, port, host, port);
    host_header = fmt::format("Host: {}:{}", host, port);
  }
  request_url = url_part(url.get(), CURLUPART_URL);
  while (request_url.ends_with('/')) {
    request_url.pop_back();
  }
  curl_url_set(url.get(), CURLUPART_HOST, host.c_str(), 0);
  curl_url_set(url.get(), CURLUPART_USER, nullptr, 0);
  curl_url_set(url.get(), CURLUPART_PASSWORD, nullptr, 0);
  shown_url = url_part(url.get(), CURLUPART_URL);
  while (shown_url.ends_with('/')) {
    shown_url.pop_back();
  }
  return {};
}

void HttpClient::State::set_common(Options& options) const {
  options.set(CURLOPT_NOSIGNAL, 1L);  // no SIGALRM in a program of many threads
  options.set(CURLOPT_PROTOCOLS_STR, "http,https");
  options.set(CURLOPT_FOLLOWLOCATION, 0L);
  options.set(CURLOPT_PROXY, "");
  options.set(CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
  options.set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timeout.count()));
  options.set(CURLOPT_USERAGENT, "holdfast/" HOLDFAST_VERSION);
  options.set(CURLOPT_MAXFILESIZE, static_cast<long>(kMaxResponseBytes));
}

void HttpClient::State::set_tls(Options& options) const {
  const auto& tls = config.tls;
  options.set_text(CURLOPT_CAINFO, tls.ca_file);
  options.set_text(CURLOPT_SSLCERT, tls.cert_file);
  options.set_text(CURLOPT_SSLKEY, tls.key_file);
  options.set(CURLOPT_SSL_VERIFYPEER, tls.insecure_skip_verify ? 0L : 1L);
  options.set(CURLOPT_SSL_VERIFYHOST, tls.insecure_skip_verify ? 0L : 2L);
}

void HttpClient::State::set_credentials(Options& options, const Credentials& credentials) {
  if (!credentials.bearer_token.empty()) {
    options.set(CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    options.set_text(CURLOPT_XOAUTH2_BEARER, credentials.bearer_token);
  } else if (!credentials.username.empty()) {
    options.set(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    options.set_text(CURLOPT_USERNAME, credentials.username);
    options.set(CURLOPT_PASSWORD, credentials.password.c_str());
  }
}

Result<std::string> HttpClient::State::encode(const Form& form) const {
  std::string encoded;
  for (const auto& [name, value] : form) {
    const CurlText text(
        curl_easy_escape(handle.get(), value.data(), static_cast<int>(value.size())));
    if (text == nullptr) {
      return fail(ErrorKind::usage, fmt::format("{} is too long to be sent", name));
    }
    encoded += fmt::format("{}{}={}", encoded.empty() ? "" : "&", name, text.get());
  }
  return encoded;
}

Result<HttpResponse> HttpClient::State::perform(std::string_view path, const std::string* form) {
  const auto credentials = read_credentials(config);
  if (!credentials) {
    return fail(ErrorKind::unavailable, credentials.error().message);
  }
  Sink sink;
  std::array<char, CURL_ERROR_SIZE> curl_words{};
  HeaderList headers, redirection;
  // Keeps connections, DNS and TLS sessions; forgets options and with them every pointer into an
  // earlier call.
  curl_easy_reset(handle.get());
  Options options(handle.get());
  set_common(options);
  set_tls(options);
  set_credentials(options, *credentials);
  options.set(CURLOPT_URL, (request_url + std::string(path)).c_str());
  options.set(CURLOPT_ERRORBUFFER, curl_words.data());
  options.set(CURLOPT_WRITEFUNCTION, &append_to_sink);
  options.set(CURLOPT_WRITEDATA, static_cast<void*>(&sink));
  if (form != nullptr) {
    options.set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(form->size()));
    options.set(CURLOPT_POSTFIELDS, form->c_str());
    // Without it curl asks "Expect: 100-continue" for long queries, and waits a second where nobody
    // answers that.
    headers.reset(curl_slist_append(nullptr, "Expect:"));
  }
  if (!connect_to.empty()) {
    headers.reset(curl_slist_append(headers.release(), host_header.c_str()));
    redirection.reset(curl_slist_append(nullptr, connect_to.c_str()));
    options.set(CURLOPT_CONNECT_TO, redirection.get());
  }
  options.set(CURLOPT_HTTPHEADER, headers.get());
  if (options.first_refusal() != CURLE_OK) {
    return failure(options.first_refusal(), "");
  }

  const CURLcode code = curl_easy_perform(handle.get());
  if (sink.too_large || code == CURLE_FILESIZE_EXCEEDED) {
    return fail(ErrorKind::unavailable, fmt::format("the answer of {} is larger than {} MiB",
                                                    shown_url, kMaxResponseBytes / 1024 / 1024));
  }
  if (code != CURLE_OK) {
    return failure(code, curl_words.data());
  }
  HttpResponse response;
  response.body = std::move(sink.body);
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &response.status);
  char* location = nullptr;
  curl_easy_getinfo(handle.get(), CURLINFO_REDIRECT_URL, &location);
  response.location = location == nullptr ? "" : location;
  return response;
}

std::unexpected<Error> HttpClient::State::failure(CURLcode code, const char* curl_words) const {
  long system_error = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_OS_ERRNO, &system_error);
  if (code == CURLE_OPERATION_TIMEDOUT) {
    return fail(ErrorKind::unavailable,
                fmt::format("no answer from {} within {} ms", shown_url, timeout.count()));
  }
  // curl's own words for this one hold a time that differs from one probe to the next.
  if (code == CURLE_COULDNT_CONNECT && system_error != 0) {
    return fail(ErrorKind::unavailable,
                fmt::format("can't connect to {}: {}", shown_url,
                            std::generic_category().message(static_cast<int>(system_error))));
  }
  const std::string words = *curl_words == '\0' ? curl_easy_strerror(code) : curl_words;
  return fail(ErrorKind::unavailable, fmt::format("can't ask {}: {}", shown_url, one_line(words)));
}

HttpClient::HttpClient(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

Result<HttpClient> HttpClient::make(const plan::PrometheusConfig& config) {
  auto state = std::make_unique<State>();
  state->config = config;
  if (init_curl()) {
    state->handle = EasyHandle(curl_easy_init());
  }
  if (state->handle == nullptr) {
    return fail(ErrorKind::internal, "libcurl can't be initialized");
  }
  if (config.timeout.count() > 0) {
    // At least one: curl takes 0 for "for ever".
    state->timeout = std::chrono::ceil<std::chrono::milliseconds>(config.timeout);
  }
  if (auto url = state->read_url(); !url) {
    return std::unexpected(std::move(url.error()));
  }
  if (auto credentials = read_credentials(config); !credentials) {
    return std::unexpected(std::move(credentials.error()));
  }
  for (const auto& [path, what] : {std::pair(&config.tls.ca_file, "CA file"),
                                   std::pair(&config.tls.cert_file, "client certificate"),
                                   std::pair(&config.tls.key_file, "client key")}) {
    if (auto readable = check_readable(*path, what); !readable) {
      return std::unexpected(std::move(readable.error()));
    }
  }
  return HttpClient(std::move(state));
}

Result<HttpResponse> HttpClient::get(std::string_view path) {
  return state_->perform(path, nullptr);
}

Result<HttpResponse> HttpClient::post(std::string_view path, const Form& form) {
  const auto encoded = state_->encode(form);
  if (!encoded) {
    return std::unexpected(encoded.error());
  }
  return state_->perform(path, &*encoded);
}

const std::string& HttpClient::shown_url() const {
  return state_->shown_url;
}

}  // namespace holdfast::verify
