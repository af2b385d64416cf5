#include "tests/bench/packet_stream.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

namespace holdfast::bench {
namespace {

// All packets of a run wait in the socket until somebody looks: no receiver competes for the
// processor, and none is lost for its slowness.
constexpr int kReceiveBytes = 512 * 1024 * 1024;
constexpr std::chrono::seconds kLongest(120);

}  // namespace

Result<std::unique_ptr<PacketStream>> PacketStream::start(const test::TestNetwork& network,
                                                          int per_second) {
  auto receiver = test::udp_socket(network.far(), kStreamPort);
  if (!receiver) {
    return std::unexpected(receiver.error());
  }
  if (::setsockopt(receiver->get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBytes,
                   sizeof(kReceiveBytes)) != 0) {
    return fail_errno("give a socket room", errno);
  }
  auto sender = test::udp_socket(network.near(), 0, test::kFarAddress, kStreamPort);
  if (!sender) {
    return std::unexpected(sender.error());
  }
  std::unique_ptr<PacketStream> stream(
      new PacketStream(std::move(*sender), std::move(*receiver), per_second));
  PacketStream& owner = *stream;
  stream->thread_ = std::jthread([&owner](const std::stop_token& stop) { owner.send_all(stop); });
  return stream;
}

PacketStream::PacketStream(UniqueFd sender, UniqueFd receiver, int per_second)
    : sender_(std::move(sender)),
      receiver_(std::move(receiver)),
      interval_(std::chrono::nanoseconds(std::chrono::seconds(1)) / per_second),
      sent_at_(static_cast<std::size_t>(kLongest / interval_)),
      arrived_(sent_at_.size(), false) {}

PacketStream::~PacketStream() {
  stop();
}

void PacketStream::send_all(const std::stop_token& stop) {
  ::prctl(PR_SET_TIMERSLACK, 1);
  Clock::time_point due = Clock::now();
  for (std::uint64_t number = 0; number < sent_at_.size() && !stop.stop_requested(); ++number) {
    // A tick that was slept through is not made up for: the stream never bursts.
    due = std::max(due + interval_, Clock::now());
    const auto ns = due.time_since_epoch().count();
    const timespec at{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
    while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) == EINTR) {
    }
    (void)::send(sender_.get(), &number, sizeof(number), 0);
    sent_at_[number] = Clock::now();
    sent_.store(number + 1, std::memory_order_release);
  }
}

void PacketStream::drain() {
  std::uint64_t number = 0;
  while (::recv(receiver_.get(), &number, sizeof(number), MSG_DONTWAIT) == sizeof(number)) {
    if (number < arrived_.size() && !arrived_[number]) {
      arrived_[number] = true;
      ++arrivals_;
      newest_ = std::max(newest_, number + 1);
    }
  }
}

std::uint64_t PacketStream::received() {
  drain();
  return arrivals_;
}

std::uint64_t PacketStream::newest_received() {
  drain();
  return newest_;
}

void PacketStream::stop() {
  thread_.request_stop();
  if (thread_.joinable()) {
    thread_.join();
  }
}

std::vector<std::uint64_t> PacketStream::lost() {
  drain();
  std::vector<std::uint64_t> numbers;
  for (std::uint64_t number = 0; number < sent(); ++number) {
    if (!arrived_[number]) {
      numbers.push_back(number);
    }
  }
  return numbers;
}

}  // namespace holdfast::bench
