#include "controller/verify/http_client.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/unique_fd.h"

namespace holdfast::verify {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A server on loopback that answers every request of every connection with the same bytes, and
// keeps the last request.
class OneAnswerServer {
 public:
  explicit OneAnswerServer(std::string answer) : answer_(std::move(answer)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~OneAnswerServer() {
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
  }
  OneAnswerServer(const OneAnswerServer&) = delete;
  OneAnswerServer& operator=(const OneAnswerServer&) = delete;

  std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }
  // Only after the request has been answered.
  const std::string& request() const { return request_; }
  int connections() const { return connections_; }

 private:
  // False: asked to stop.
  bool wait_readable(int fd) {
    pollfd waits[] = {{fd, POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    ::poll(waits, 2, -1);
    return waits[1].revents == 0;
  }

  void serve() {
    while (wait_readable(listener_.get())) {
      const UniqueFd peer(::accept(listener_.get(), nullptr, nullptr));
      ++connections_;
      serve_connection(peer.get());
    }
  }

  void serve_connection(int peer) {
    std::string received;
    char chunk[4096];
    while (wait_readable(peer)) {
      const ssize_t got = ::recv(peer, chunk, sizeof(chunk), 0);
      if (got <= 0) {
        return;
      }
      received.append(chunk, static_cast<std::size_t>(got));
      if (complete(received) && !answer_.empty()) {
        request_ = std::exchange(received, {});
        ::send(peer, answer_.data(), answer_.size(), MSG_NOSIGNAL);
      }
    }
  }

  static bool complete(const std::string& request) {
    const std::size_t head = request.find("\r\n\r\n");
    if (head == std::string::npos) {
      return false;
    }
    const std::size_t field = request.find("Content-Length: ");
    const std::size_t body =
        field == std::string::npos ? 0 : std::strtoul(&request[field + 16], nullptr, 10);
    return request.size() >= head + 4 + body;
  }

  UniqueFd listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  UniqueFd stop_{::eventfd(0, EFD_CLOEXEC)};
  std::uint16_t port_ = 0;
  std::string answer_;
  std::string request_;
  std::atomic<int> connections_ = 0;
  std::thread thread_;
};

std::string answer_of(std::string_view body, std::string_view status = "200 OK",
                      std::string_view headers = "") {
  return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n{}\r\n{}", status, body.size(), headers,
                     body);
}

plan::PrometheusConfig config_of(const std::string& url) {
  plan::PrometheusConfig config;
  config.url = url;
  config.timeout = std::chrono::seconds(20);
  return config;
}

HttpClient client_of(const plan::PrometheusConfig& config) {
  auto client = HttpClient::make(config);
  EXPECT_TRUE(client) << client.error().message;
  return std::move(*client);
}

class TempFile {
 public:
  explicit TempFile(std::string_view content) {
    std::string name = std::filesystem::temp_directory_path() / "holdfast-test-XXXXXX";
    UniqueFd file(::mkstemp(name.data()));
    EXPECT_TRUE(file);
    path_ = name;
    write(content);
  }
  ~TempFile() { std::filesystem::remove(path_); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  void write(std::string_view content) const { std::ofstream(path_) << content; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(HttpClient, PostsAForm) {
  OneAnswerServer server(answer_of("hello"));
  auto client = client_of(config_of(server.url() + "/prefix/"));
  const std::string query = R"(rate(a{b="c&d+e"}[5m]) > 1 %)";
  const auto response = client.post("/api/v1/query", {{"query", query}, {"time", "1.5"}});
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "hello");
  EXPECT_THAT(
      server.request(),
      AllOf(HasSubstr("POST /prefix/api/v1/query HTTP/1.1\r\n"), HasSubstr("User-Agent: holdfast/"),
            HasSubstr("Content-Type: application/x-www-form-urlencoded\r\n"),
            HasSubstr("\r\n\r\nquery=rate%28a%7Bb%3D%22c%26d%2Be%22%7D%5B5m%5D%29%20%3E"
                      "%201%20%25&time=1.5"),
            Not(HasSubstr("Authorization")), Not(HasSubstr("Expect"))));
}

TEST(HttpClient, LongQueriesAndOneConnection) {
  OneAnswerServer server(answer_of("x"));
  auto client = client_of(config_of(server.url()));
  for (int i = 0; i < 3; ++i) {
    // Beyond the size from which curl would ask "Expect: 100-continue" first.
    ASSERT_TRUE(client.post("/q", {{"query", std::string(1'200'000, 'a')}}));
    EXPECT_THAT(server.request().substr(0, 1000), Not(HasSubstr("Expect")));
    ASSERT_TRUE(client.get("/t"));
  }
  EXPECT_THAT(server.request(), HasSubstr("GET /t HTTP/1.1\r\n"));
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpClient, ProxiesOfTheEnvironmentAreNotUsed) {
  OneAnswerServer server(answer_of("direct"));
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  ::setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
  auto client = client_of(config_of(server.url()));
  const auto response = client.get("/");
  ::unsetenv("http_proxy");
  ::unsetenv("ALL_PROXY");
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "direct");
}

TEST(HttpClient, RedirectsAreNotFollowed) {
  OneAnswerServer server(answer_of("", "302 Found", "Location: http://elsewhere.example/api\r\n"));
  auto client = client_of(config_of(server.url()));
  const auto response = client.get("/");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 302);
  EXPECT_EQ(response->location, "http://elsewhere.example/api");
}

TEST(HttpClient, TooLargeAnswersAreCutOff) {
  const std::string announced =
      fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", kMaxResponseBytes + 1);
  const std::string unannounced = "HTTP/1.0 200 OK\r\n\r\n";
  for (const std::string& head : {announced, unannounced}) {
    OneAnswerServer server(head + std::string(kMaxResponseBytes + 1, 'x'));
    auto client = client_of(config_of(server.url()));
    const auto response = client.get("/");
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().kind, ErrorKind::unavailable);
    EXPECT_THAT(response.error().message, HasSubstr("larger than 8 MiB"));
  }
}

TEST(HttpClient, NoAnswerWithinTheTimeout) {
  OneAnswerServer server("");
  auto config = config_of(server.url());
  config.timeout = std::chrono::milliseconds(50);
  auto client = client_of(config);
  const auto response = client.get("/");
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::unavailable);
  EXPECT_THAT(response.error().message, AllOf(HasSubstr("no answer"), HasSubstr("within 50 ms")));
}

TEST(HttpClient, ClosedPortAndNoHttp) {
  std::string url;
  {
    OneAnswerServer server("SSH-2.0-OpenSSH\r\n");
    url = server.url();
    auto client = client_of(config_of(url));
    EXPECT_FALSE(client.get("/"));
  }
  auto client = client_of(config_of(url));
  const auto response = client.get("/");
  ASSERT_FALSE(response);
  EXPECT_THAT(response.error().message,
              AllOf(HasSubstr("can't connect to " + url), HasSubstr("refused")));
}

TEST(HttpClient, BearerTokenIsReadAnewAndTrimmed) {
  OneAnswerServer server(answer_of("x"));
  const TempFile token("first\n");
  auto config = config_of(server.url());
  config.bearer_token_file = token.path();
  auto client = client_of(config);
  ASSERT_TRUE(client.get("/"));
  EXPECT_THAT(server.request(), HasSubstr("Authorization: Bearer first\r\n"));
  token.write("  second\r\n");
  ASSERT_TRUE(client.get("/"));
  EXPECT_THAT(server.request(), HasSubstr("Authorization: Bearer second\r\n"));
  std::filesystem::remove(token.path());
  const auto response = client.get("/");
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::unavailable);
  EXPECT_THAT(response.error().message, HasSubstr(token.path()));
}

TEST(HttpClient, BasicAuthentication) {
  OneAnswerServer server(answer_of("x"));
  auto config = config_of(server.url());
  config.basic_auth = {"alice", "s3cret", ""};
  ASSERT_TRUE(client_of(config).get("/"));
  EXPECT_THAT(server.request(), HasSubstr("Authorization: Basic YWxpY2U6czNjcmV0\r\n"));
  const TempFile password("s3cret\n");
  config.basic_auth = {"alice", "", password.path()};
  ASSERT_TRUE(client_of(config).get("/"));
  EXPECT_THAT(server.request(), HasSubstr("Authorization: Basic YWxpY2U6czNjcmV0\r\n"));
}

TEST(HttpClient, PasswordsInTheUrlAreNotShown) {
  OneAnswerServer server(answer_of("x"));
  auto config = config_of("http://alice:s3cret@" + server.url().substr(7));
  auto client = client_of(config);
  EXPECT_EQ(client.shown_url(), server.url());
  ASSERT_TRUE(client.get("/"));
  EXPECT_THAT(server.request(), HasSubstr("Authorization: Basic YWxpY2U6czNjcmV0\r\n"));
}

TEST(HttpClient, WhatIsWrongInThePlanIsSaidAtOnce) {
  const auto refused = [](const plan::PrometheusConfig& config, std::string_view word) {
    const auto client = HttpClient::make(config);
    ASSERT_FALSE(client) << word;
    EXPECT_EQ(client.error().kind, ErrorKind::usage) << word;
    EXPECT_THAT(client.error().message, HasSubstr(std::string(word)));
  };
  const std::string url = "http://127.0.0.1:1";
  refused(config_of("not a url"), "not a URL");
  refused(config_of("ftp://127.0.0.1"), "over ftp");
  refused(config_of("file:///etc/passwd"), "over file");
  auto config = config_of(url);
  config.bearer_token_file = "/nonexistent/token";
  refused(config, "/nonexistent/token");
  config = config_of(url);
  config.tls.ca_file = "/nonexistent/ca";
  refused(config, "/nonexistent/ca");
  for (const std::string_view content : {"", "\n \n", "a\nX-Header: b", "a\tb"}) {
    const TempFile token(content);
    config = config_of(url);
    config.bearer_token_file = token.path();
    refused(config, "bearer token");
  }
  const TempFile huge(std::string(70'000, 'x'));
  config.bearer_token_file = huge.path();
  refused(config, "larger than");
}

}  // namespace
}  // namespace holdfast::verify
