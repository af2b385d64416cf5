// A cable between two network namespaces whose packets are delayed, and sockets at both ends.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>
#include <optional>
#include <thread>

#include "agent/kernel/features.h"
#include "agent/kernel/libbpf_kernel.h"
#include "agent/kernel/tap.h"
#include "tests/bpf/rules_fixture.h"
#include "tests/support/child_process.h"
#include "tests/support/injection.h"
#include "tests/support/test_network.h"

namespace holdfast::agent {
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using kernel::Link;
using test::kCable;
using test::kFarAddress;
using test::kNearAddress;

inline constexpr std::uint16_t kPort = 4000;
inline constexpr const char* kNearAddress6 = "fd00:200::1";
inline constexpr const char* kFarAddress6 = "fd00:200::2";
inline constexpr auto kPatience = 20s;  // for what must happen at all, on the slowest machine

// A socket of either family: a server's at kPort, or a client's, connected to its peer.
inline UniqueFd open_socket(const kernel::NetNamespace& netns, int type, const std::string& own,
                            const std::string& peer = {}) {
  UniqueFd made;
  auto done = netns.run([&]() -> Result<void> {
    const bool v6 = own.find(':') != std::string::npos;
    const auto address_of = [v6](const std::string& text, std::uint16_t port) {
      sockaddr_storage address{};
      if (v6) {
        auto& in6 = reinterpret_cast<sockaddr_in6&>(address);
        in6.sin6_family = AF_INET6;
        in6.sin6_port = htons(port);
        ::inet_pton(AF_INET6, text.c_str(), &in6.sin6_addr);
      } else {
        auto& in4 = reinterpret_cast<sockaddr_in&>(address);
        in4.sin_family = AF_INET;
        in4.sin_port = htons(port);
        ::inet_pton(AF_INET, text.c_str(), &in4.sin_addr);
      }
      return address;
    };
    made.reset(::socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0));
    const int on = 1;
    const int room = 64 << 20;
    ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    ::setsockopt(made.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
    const sockaddr_storage mine = address_of(own, peer.empty() ? kPort : 0);
    if (::bind(made.get(), reinterpret_cast<const sockaddr*>(&mine), sizeof(mine)) != 0) {
      return fail_errno("bind", errno);
    }
    const sockaddr_storage other = address_of(peer, kPort);
    if (!peer.empty() &&
        ::connect(made.get(), reinterpret_cast<const sockaddr*>(&other), sizeof(other)) != 0) {
      return fail_errno("connect", errno);
    }
    return {};
  });
  EXPECT_TRUE(done) << done.error().message;
  return made;
}

inline bool readable(const UniqueFd& socket) {
  pollfd file{.fd = socket.get(), .events = POLLIN, .revents = 0};
  return ::poll(&file, 1, static_cast<int>(std::chrono::milliseconds(kPatience).count())) == 1;
}

struct Packet {
  std::uint32_t number;
  Clock::time_point sent;
};

struct Arrival {
  std::uint32_t number;
  Clock::duration after;
};

// UDP from one end to the other; what arrives, in the order in which it does.
class Stream {
 public:
  Stream(const kernel::NetNamespace& from, const std::string& source,
         const kernel::NetNamespace& to, const std::string& destination)
      : receiver_(open_socket(to, SOCK_DGRAM, destination)),
        sender_(open_socket(from, SOCK_DGRAM, source, destination)) {}

  void send(std::size_t bytes = 100) {
    std::vector<char> payload(std::max(bytes, sizeof(Packet)));
    const Packet packet{.number = sent_++, .sent = Clock::now()};
    std::memcpy(payload.data(), &packet, sizeof(packet));
    EXPECT_EQ(::send(sender_.get(), payload.data(), payload.size(), 0),
              static_cast<ssize_t>(payload.size()))
        << std::strerror(errno);
  }
  std::vector<Arrival> receive(std::size_t count) {
    std::vector<Arrival> arrivals;
    std::vector<char> payload(70'000);
    while (arrivals.size() < count && readable(receiver_)) {
      const ssize_t length = ::recv(receiver_.get(), payload.data(), payload.size(), 0);
      if (length < static_cast<ssize_t>(sizeof(Packet))) {
        break;
      }
      Packet packet{};
      std::memcpy(&packet, payload.data(), sizeof(packet));
      arrivals.push_back({packet.number, Clock::now() - packet.sent});
    }
    EXPECT_EQ(arrivals.size(), count);
    return arrivals;
  }
  int sender() const { return sender_.get(); }
  int receiver() const { return receiver_.get(); }

 private:
  UniqueFd receiver_, sender_;
  std::uint32_t sent_ = 0;
};

inline bool in_order(const std::vector<Arrival>& arrivals) {
  return std::ranges::is_sorted(arrivals, {}, &Arrival::number);
}

inline Clock::duration shortest(const std::vector<Arrival>& arrivals) {
  return arrivals.empty() ? Clock::duration::zero()
                          : std::ranges::min(arrivals, {}, &Arrival::after).after;
}

class Delay : public testing::Test {
 protected:
  void SetUp() override {
    auto made = test::TestNetwork::make();
    ASSERT_TRUE(made) << made.error().message;
    network_.emplace(std::move(*made));
    run(near(), {"ip", "addr", "add", std::string(kNearAddress6) + "/64", "dev", kCable, "nodad"});
    run(far(), {"ip", "addr", "add", std::string(kFarAddress6) + "/64", "dev", kCable, "nodad"});
    kernel_ = kernel::make_libbpf_kernel(std::string(kernel::host_features().attach_mechanism()));
  }
  void TearDown() override {
    path_.reset();
    if (HasFatalFailure()) {
      return;
    }
    auto links = kernel_->links(near());
    ASSERT_TRUE(links);
    EXPECT_TRUE(std::ranges::none_of(*links, kernel::is_delay_tap)) << "a TAP is left";
  }

  static void run(const kernel::NetNamespace& netns, const std::vector<std::string>& command) {
    auto done = test::run_command(netns, command);
    ASSERT_TRUE(done) << done.error().message;
  }
  const kernel::NetNamespace& near() const { return network_->near(); }
  const kernel::NetNamespace& far() const { return network_->far(); }

  static plan::LatencyParams fixed(Duration delay) {
    plan::LatencyParams params;
    params.delay = delay;
    return params;
  }

  // Delays what passes near's end of the cable, until the test ends.
  void delay(const std::vector<plan::LatencyParams>& all,
             plan::Direction direction = plan::Direction::to, const std::string& device = kCable) {
    std::vector<RuleSpec> rules;
    for (const plan::LatencyParams& params : all) {
      rules.push_back(rule_of(HF_LATENCY));
      rules.back().line = params;
    }
    inject(std::move(rules), direction, device);
  }
  // Any other fault there.
  void inject(std::vector<RuleSpec> rules, plan::Direction direction = plan::Direction::to,
              const std::string& device = kCable) {
    for (RuleSpec& rule : rules) {
      rule.match.direction = direction;
    }
    path_.reset();
    auto path = test::inject(*kernel_, near(), rules, device);
    ASSERT_TRUE(path) << path.error().message;
    path_ = std::move(*path);
  }
  // Whether so many bytes go from near to far as they were sent.
  bool tcp_carries(const std::string& near_address, const std::string& far_address,
                   std::size_t bytes) {
    const UniqueFd listener = open_socket(far(), SOCK_STREAM, far_address);
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    std::vector<std::uint32_t> sent(bytes / sizeof(std::uint32_t));
    std::iota(sent.begin(), sent.end(), 0U);
    std::thread sender([&] {
      const UniqueFd socket = open_socket(near(), SOCK_STREAM, near_address, far_address);
      const auto* at = reinterpret_cast<const char*>(sent.data());
      for (std::size_t left = bytes; left > 0;) {
        const ssize_t done = ::send(socket.get(), at + (bytes - left), left, MSG_NOSIGNAL);
        if (done <= 0) {
          break;
        }
        left -= static_cast<std::size_t>(done);
      }
    });
    const UniqueFd accepted(readable(listener) ? ::accept(listener.get(), nullptr, nullptr) : -1);
    std::vector<std::uint32_t> received(sent.size());
    std::size_t length = 0;
    while (length < bytes && accepted && readable(accepted)) {
      const ssize_t done = ::recv(accepted.get(), reinterpret_cast<char*>(received.data()) + length,
                                  bytes - length, 0);
      if (done <= 0) {
        break;
      }
      length += static_cast<std::size_t>(done);
    }
    sender.join();
    EXPECT_EQ(length, bytes);
    return sent == received;
  }
  DelaySummary delays(std::size_t rule = 0) { return path_->delays(rule).delays; }
  hf_counters counters(std::size_t rule = 0) {
    return path_->counters(rule).value_or(hf_counters{});
  }

  std::optional<test::TestNetwork> network_;
  std::unique_ptr<kernel::Kernel> kernel_;
  std::unique_ptr<kernel::DataPath> path_;
};

}  // namespace holdfast::agent
