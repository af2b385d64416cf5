#include "tests/support/test_network.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "tests/support/child_process.h"

namespace holdfast::test {
namespace {

using agent::kernel::NetNamespace;

constexpr const char* kNearHardware = "02:00:00:00:00:01";
constexpr const char* kFarHardware = "02:00:00:00:00:02";
constexpr const char* kNobodyHardware = "02:00:00:00:00:03";

Result<NetNamespace> new_namespace(std::string label) {
  Result<NetNamespace> made = fail(ErrorKind::internal, "no namespace was made");
  // A thread of its own, so that no other is ever moved.
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) {
      made = fail_errno("make a network namespace", errno);
      return;
    }
    made = NetNamespace::current();
  }).join();
  if (made) {
    made->set_label(std::move(label));
  }
  return made;
}

std::string path_of(const NetNamespace& netns) {
  return fmt::format("/proc/{}/fd/{}", ::getpid(), netns.fd());
}

using Commands = std::vector<std::vector<std::string>>;

Result<void> run_all(const NetNamespace& netns, const Commands& commands) {
  for (const auto& command : commands) {
    if (auto done = run_command(netns, command); !done) {
      return done;
    }
  }
  return {};
}

}  // namespace

Result<TestNetwork> TestNetwork::make() {
  auto near = new_namespace("the near namespace");
  if (!near) {
    return std::unexpected(near.error());
  }
  auto far = new_namespace("the far namespace");
  if (!far) {
    return std::unexpected(far.error());
  }
  TestNetwork network(std::move(*near), std::move(*far));
  // No address of their own making and fixed neighbours: nothing but a test's own packets
  // is on the cable.
  const auto bring_up = [](const char* hardware, const char* address) -> Commands {
    return {{"ip", "link", "set", "lo", "up"},
            {"ip", "link", "set", kCable, "address", hardware, "addrgenmode", "none"},
            {"ip", "link", "set", kCable, "up"},
            {"ip", "addr", "add", fmt::format("{}/24", address), "dev", kCable}};
  };
  const auto neighbour = [](const char* address, const char* hardware) -> Commands {
    return {
        {"ip", "neigh", "replace", address, "lladdr", hardware, "nud", "permanent", "dev", kCable}};
  };
  const std::pair<const NetNamespace*, Commands> steps[] = {
      {&network.near(),
       {{"ip", "link", "add", kCable, "type", "veth", "peer", "name", kCable, "netns",
         network.far_path()}}},
      {&network.near(), bring_up(kNearHardware, kNearAddress)},
      {&network.far(), bring_up(kFarHardware, kFarAddress)},
      {&network.near(), neighbour(kFarAddress, kFarHardware)},
      {&network.near(), neighbour(kNobodyAddress, kNobodyHardware)},
      {&network.far(), neighbour(kNearAddress, kNearHardware)},
  };
  for (const auto& [netns, commands] : steps) {
    if (auto done = run_all(*netns, commands); !done) {
      return std::unexpected(done.error().with_context("set up the test network"));
    }
  }
  return network;
}

std::string TestNetwork::near_path() const {
  return path_of(near_);
}

std::string TestNetwork::far_path() const {
  return path_of(far_);
}

Result<UniqueFd> udp_socket(const NetNamespace& netns, std::uint16_t port, const char* peer,
                            std::uint16_t peer_port) {
  UniqueFd socket;
  auto made = netns.run([&]() -> Result<void> {
    socket.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) {
      return fail_errno("make a socket", errno);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    if (port != 0 &&
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      return fail_errno("bind a socket", errno);
    }
    if (peer != nullptr) {
      address.sin_port = htons(peer_port);
      ::inet_pton(AF_INET, peer, &address.sin_addr);
      if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
          0) {
        return fail_errno("connect a socket", errno);
      }
    }
    return {};
  });
  if (!made) {
    return std::unexpected(made.error());
  }
  return socket;
}

}  // namespace holdfast::test
