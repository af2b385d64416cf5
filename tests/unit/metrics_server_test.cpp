#include "agent/metrics_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/metric_family.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/unique_fd.h"

namespace holdfast::agent {
namespace {

using ::testing::HasSubstr;

// What tests serve: one gauge.
class One : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override {
    prometheus::MetricFamily family{
        .name = "one", .help = "One.", .type = prometheus::MetricType::Gauge, .metric = {}};
    family.metric.emplace_back();
    family.metric.back().gauge.value = 1;
    return {family};
  }
};

class MetricsServerTest : public ::testing::Test {
 protected:
  // A port that was free a moment ago.
  MetricsServerTest() {
    const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in name = loopback(0);
    socklen_t size = sizeof name;
    if (!socket) {
      ADD_FAILURE() << "no socket";
      return;
    }
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
    EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);
    address_ = {.host = "127.0.0.1", .port = ntohs(name.sin_port), .loopback = true};
  }
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return name;
  }
  // No descriptor: refused.
  UniqueFd connect() const {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in to = loopback(address_.port);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
      socket.reset();
    }
    return socket;
  }
  std::string get(const std::string& path) const {
    const UniqueFd socket = connect();
    const std::string request = "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    std::string answer(65536, 0);
    const ssize_t got = ::recv(socket.get(), answer.data(), answer.size(), MSG_WAITALL);
    answer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return answer;
  }

  std::shared_ptr<One> source_ = std::make_shared<One>();
  ListenAddress address_;
};

TEST_F(MetricsServerTest, ServesUntilItGoes) {
  for (int i = 0; i < 3; ++i) {  // the port is free again at once
    const auto server = MetricsServer::start(address_, source_);
    ASSERT_TRUE(server) << server.error().message;
    EXPECT_THAT(get("/metrics"), HasSubstr("\none 1\n"));
    EXPECT_THAT(get("/etc/passwd"), HasSubstr(" 404 "));
  }
  EXPECT_FALSE(connect());
}

TEST_F(MetricsServerTest, GoesWhileClientsHoldItsThreads) {
  auto server = MetricsServer::start(address_, source_);
  ASSERT_TRUE(server) << server.error().message;
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 4; ++i) {
    silent.push_back(connect());
    ASSERT_TRUE(silent.back());
  }
  {
    const MetricsServer going = std::move(*server);
  }
  EXPECT_FALSE(connect());
}

TEST_F(MetricsServerTest, AnAddressInUseIsRefused) {
  const auto first = MetricsServer::start(address_, source_);
  ASSERT_TRUE(first) << first.error().message;
  const auto second = MetricsServer::start(address_, source_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::unavailable);
  EXPECT_THAT(second.error().message, HasSubstr(address_.text()));
  EXPECT_THAT(get("/metrics"), HasSubstr("\none 1\n"));
}

TEST_F(MetricsServerTest, WithoutIPv6TheLibraryIsBlamedAndNotTheAddress) {
  address_.host = "::1";
  const auto server = MetricsServer::start(address_, source_);
  if (server) {
    GTEST_SKIP() << "this system's CivetWeb has IPv6";
  }
  EXPECT_EQ(server.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(server.error().message, HasSubstr("without IPv6"));
}

TEST(ListenAddress, Accepted) {
  const auto v4 = parse_listen_address("127.0.0.1:9464");
  ASSERT_TRUE(v4) << v4.error().message;
  EXPECT_EQ(v4->text(), "127.0.0.1:9464");
  EXPECT_TRUE(v4->loopback);
  const auto v6 = parse_listen_address("[::1]:9464");
  ASSERT_TRUE(v6) << v6.error().message;
  EXPECT_EQ(v6->text(), "[::1]:9464");
  EXPECT_TRUE(v6->loopback);
  const auto all = parse_listen_address("0.0.0.0:1");
  ASSERT_TRUE(all);
  EXPECT_FALSE(all->loopback);
  EXPECT_EQ(parse_listen_address("localhost:80")->text(), "127.0.0.1:80");
}

TEST(ListenAddress, SaysWhatIsWrongWithIt) {
  EXPECT_THAT(parse_listen_address("9464").error().message, HasSubstr("an address and a port"));
  EXPECT_THAT(parse_listen_address(":9464").error().message, HasSubstr("no address"));
  EXPECT_THAT(parse_listen_address("::1:9464").error().message, HasSubstr("in brackets"));
  EXPECT_THAT(parse_listen_address("edge:9464").error().message, HasSubstr("\"edge\""));
  EXPECT_THAT(parse_listen_address("127.0.0.1:0").error().message, HasSubstr("1 to 65535"));
}

TEST(ListenAddress, Refused) {
  for (const char* text :
       {"", ":", "9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
        "127.0.0.1:80x", "127.0.0.1:80,0.0.0.0:81", "::1:9464", "[127.0.0.1]:80", "[::1]",
        "host.example:80", ":9464", "[]:9464", "127.0.0.1:-1"}) {
    const auto address = parse_listen_address(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().kind, ErrorKind::usage) << text;
    EXPECT_THAT(address.error().cure, HasSubstr("127.0.0.1:9464")) << text;
  }
}

}  // namespace
}  // namespace holdfast::agent
