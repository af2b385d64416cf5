#include "agent/delay/delay_line.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "agent/delay/delay_sampler.h"
#include "agent/delay/rate_limiter.h"

namespace holdfast::agent {
namespace {

using namespace std::chrono_literals;

// A beat reaches this far ahead and comes this often: three may be missed.
constexpr Duration kBeatEvery = 20ms;
// The largest frame that a GSO device hands over (GSO_LEGACY_MAX_SIZE of linux/netdevice.h) behind
// all headers; IPv6 jumbograms of more (BIG TCP) are not sent to devices that did not ask for them.
constexpr std::size_t kMostFrame = 65536 + 512;
// Small packets are copied out of the reading buffer, large ones keep it.
constexpr std::size_t kCopied = 16384;
constexpr std::size_t kMostSpare = 1024;
// A processor that sleeps takes its time to wake up, a virtual one some 100 us: the line asks to be
// woken that much before a departure and spends the rest awake, for at most this long, and at most
// one part in so many of the time.
constexpr std::uint64_t kMostSpinning = 200'000;
constexpr std::uint64_t kSpinsOneIn = 4;
// Packets read before those that are due leave.
constexpr std::size_t kBatch = 64;

std::uint64_t now_ns() {
  // On Linux the steady clock is CLOCK_MONOTONIC, which is the programs' clock.
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

std::uint64_t count(Duration duration) {
  return static_cast<std::uint64_t>(duration.count());
}

}  // namespace

// What the thread does is in `params` and what belongs to its kind, the rest is for all to read.
struct DelayLine::Rule {
  Rule(const LineRule& given, std::uint64_t seed) : params(given) {
    if (const auto* latency = std::get_if<plan::LatencyParams>(&params)) {
      samplers.emplace(std::array{DelaySampler(*latency, seed), DelaySampler(*latency, seed + 1)});
    } else if (const auto* bandwidth = std::get_if<plan::BandwidthParams>(&params)) {
      limiters.emplace(std::array{RateLimiter(*bandwidth), RateLimiter(*bandwidth)});
    }
  }
  void retune(const LineRule& given) {
    params = given;
    if (const auto* latency = std::get_if<plan::LatencyParams>(&params)) {
      for (DelaySampler& sampler : *samplers) {
        sampler.retune(*latency);
      }
    } else if (const auto* bandwidth = std::get_if<plan::BandwidthParams>(&params)) {
      for (RateLimiter& limiter : *limiters) {
        limiter.retune(*bandwidth);
      }
    }
  }
  const plan::LatencyParams* latency() const { return std::get_if<plan::LatencyParams>(&params); }
  bool corrupts() const { return std::holds_alternative<plan::CorruptParams>(params); }
  // Not beyond its end.
  std::uint64_t no_longer(Duration delay, std::uint64_t now) const {
    const std::uint64_t deadline = deadline_ns.load(std::memory_order_relaxed);
    return std::min(count(delay), deadline > now ? deadline - now : 0);
  }

  LineRule params;
  std::optional<std::array<DelaySampler, HF_DIRECTIONS>> samplers;
  std::optional<std::array<RateLimiter, HF_DIRECTIONS>> limiters;
  std::atomic<std::uint64_t> deadline_ns = 0;
  DelayStatistics delays, lateness;
  std::atomic<std::uint64_t> overflowed = 0, lost = 0, corrupted = 0;
  std::atomic<std::uint64_t> queued = 0, dropped_packets = 0, dropped_bytes = 0;
  std::atomic<double> bits_per_second = 0;
};

// One packet that waits.
struct DelayLine::Kept {
  struct Share {
    Rule* rule;
    std::uint64_t ns;
    bool queued;
  };
  std::uint64_t departure = 0;
  std::uint64_t sequence = 0;  // of two that leave together the first one goes first
  Frame frame;
  std::vector<Share> shares;

  static bool later(const Kept& a, const Kept& b) {
    return std::pair(a.departure, a.sequence) > std::pair(b.departure, b.sequence);
  }
};

// When the last packet of each connection and direction leaves: none may leave before it.
class DelayLine::Flows {
 public:
  std::uint64_t not_before(const hf_parcel& parcel, std::uint64_t departure, std::uint64_t now) {
    if (last_.size() >= swept_at_) {
      std::erase_if(last_, [now](const auto& flow) { return flow.second <= now; });
      swept_at_ = std::max<std::size_t>(1024, 2 * last_.size());
    }
    std::uint64_t& last = last_[parcel.flow * 2 + parcel.direction];
    last = std::max(last, departure);
    return last;
  }

 private:
  std::unordered_map<std::uint64_t, std::uint64_t> last_;
  std::size_t swept_at_ = 1024;
};

Result<std::unique_ptr<DelayLine>> DelayLine::start(DelayLineOptions options) {
  std::unique_ptr<DelayLine> line(new DelayLine(std::move(options)));
  line->wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!line->wake_) {
    return fail_errno("make an eventfd", errno);
  }
  line->options_.beat(now_ns() + count(kHeartbeat));
  line->thread_ = std::thread([raw = line.get()] { raw->work(); });
  return line;
}

DelayLine::DelayLine(DelayLineOptions options)
    : options_(std::move(options)), random_(options_.seed), flows_(std::make_unique<Flows>()) {
  buffer_ = read_buffer();
  std::uint64_t seed = options_.seed;
  for (const auto& [number, params] : options_.rules) {
    rules_.emplace(number, std::make_unique<Rule>(params, seed));
    seed += HF_DIRECTIONS;
  }
}

DelayLine::~DelayLine() {
  finish();
}

void DelayLine::finish() {
  if (!thread_.joinable()) {
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ::eventfd_write(wake_.get(), 1);
  thread_.join();
}

void DelayLine::begin(std::size_t rule, std::uint64_t deadline_ns) {
  rules_.at(rule)->deadline_ns = deadline_ns;
}

void DelayLine::end(std::size_t rule) {
  rules_.at(rule)->deadline_ns = 0;
  std::unique_lock lock(mutex_);
  ending_.push_back(rule);
  const std::uint64_t mine = ++asked_;
  ::eventfd_write(wake_.get(), 1);
  obeyed_.wait(lock, [&] { return done_ >= mine; });
}

DelayLine::Results DelayLine::results(std::size_t rule) const {
  const Rule& one = *rules_.at(rule);
  return {.delays = one.delays.summary(),
          .lateness_p99 = one.lateness.summary().p99,
          .overflowed = one.overflowed,
          .lost = one.lost,
          .corrupted = one.corrupted,
          .queued = one.queued,
          .dropped_packets = one.dropped_packets,
          .dropped_bytes = one.dropped_bytes,
          .bits_per_second = one.bits_per_second};
}

void DelayLine::retune(std::size_t rule, const LineRule& params) {
  {
    const std::lock_guard lock(mutex_);
    retuned_.insert_or_assign(rule, params);
  }
  ::eventfd_write(wake_.get(), 1);
}

void DelayLine::work() {
  ::pthread_setname_np(::pthread_self(), "delay-line");
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  // A packet that is due waits for nobody's time slice. Where that is not allowed, busy CPUs make
  // the line late, which its lateness tells.
  const sched_param priority{.sched_priority = 1};
  if (const int error = ::pthread_setschedparam(::pthread_self(), SCHED_FIFO, &priority);
      error != 0) {
    spdlog::debug("the delay line has no real-time priority: {}", std::strerror(error));
  }
  for (;;) {
    const bool more = take_in(kBatch);
    const std::uint64_t now = now_ns();
    if (now >= next_beat_) {
      options_.beat(now + count(kHeartbeat));
      next_beat_ = now + count(kBeatEvery);
    }
    let_go_due(now);
    obey();
    if (const std::lock_guard lock(mutex_); stopping_) {
      break;
    }
    if (!more) {
      wait(now_ns());
    }
  }
  while (take_in(kBatch)) {
  }
  let_go_all();
}

Frame DelayLine::read_buffer() {
  if (spare_.empty()) {
    return {.data = std::make_unique_for_overwrite<std::byte[]>(kMostFrame),
            .size = 0,
            .capacity = kMostFrame};
  }
  Frame frame = std::move(spare_.back());
  spare_.pop_back();
  return frame;
}

// Whether there may be more to read.
bool DelayLine::take_in(std::size_t most) {
  for (std::size_t i = 0; i < most; ++i) {
    const ssize_t length = ::read(options_.tap.get(), buffer_.data.get(), buffer_.capacity);
    if (length <= 0) {
      return length < 0 && errno == EINTR;
    }
    const auto bytes = static_cast<std::size_t>(length);
    if (bytes < kVirtioHeader + sizeof(hf_parcel)) {
      continue;  // nothing of ours
    }
    if (bytes <= kCopied) {
      Frame copy{.data = std::make_unique_for_overwrite<std::byte[]>(bytes),
                 .size = bytes,
                 .capacity = bytes};
      std::memcpy(copy.data.get(), buffer_.data.get(), bytes);
      take(std::move(copy));
    } else {
      buffer_.size = bytes;
      take(std::exchange(buffer_, read_buffer()));
    }
  }
  return true;
}

// What is to be done to a packet before it waits makes several of it.
void DelayLine::take(Frame frame) {
  const hf_parcel parcel = parcel_in(frame);
  std::vector<Rule*> rules;
  std::uint64_t together = std::numeric_limits<std::uint64_t>::max();
  Rule* corrupting = nullptr;
  for (const auto& [number, rule] : rules_) {
    if ((parcel.rules.word[number / 64] >> (number % 64) & 1) == 0) {
      continue;
    }
    if (rule->corrupts()) {
      corrupting = rule.get();
      continue;
    }
    if (rule->limiters) {
      together = std::min(together, rule->limiters->front().together());
    }
    rules.push_back(rule.get());
  }
  const bool plain = corrupting == nullptr && parcel.copies == 0 &&
                     together == std::numeric_limits<std::uint64_t>::max();
  if (plain) {
    keep(std::move(frame), parcel, rules);
    return;
  }
  std::vector<Frame> whole;
  if (corrupting != nullptr) {
    ++corrupting->corrupted;
    whole = corrupt(std::move(frame), random_());
  } else {
    whole.push_back(std::move(frame));
  }
  for (std::uint32_t copy = 0; copy <= parcel.copies; ++copy) {
    for (Frame& one : whole) {
      Frame mine = copy < parcel.copies ? one.copy() : std::move(one);
      for (Frame& piece : cut(std::move(mine), together)) {
        keep(std::move(piece), parcel, rules);
      }
    }
  }
}

// First it passes the slowest link, then come the delays. What reorders comes last: nothing waits
// for what it keeps back.
void DelayLine::keep(Frame frame, const hf_parcel& parcel, const std::vector<Rule*>& rules) {
  const std::uint64_t arrived = parcel.arrived_ns;
  const std::size_t direction = parcel.direction % HF_DIRECTIONS;
  Kept kept{.departure = arrived, .sequence = sequence_++, .frame = std::move(frame), .shares = {}};
  for (Rule* rule : rules) {
    if (!rule->limiters) {
      continue;
    }
    const std::uint64_t bytes = wire_bytes(kept.frame);
    const auto admitted = (*rule->limiters)[direction].admit(parcel.flow, arrived, bytes);
    if (admitted.dropped) {
      ++rule->dropped_packets;
      rule->dropped_bytes += bytes;
      return;
    }
    rule->queued += admitted.queued ? 1 : 0;
    const Duration waits(static_cast<Duration::rep>(admitted.departure_ns - arrived));
    kept.shares.push_back({rule, rule->no_longer(waits, arrived), admitted.queued});
    kept.departure = std::max(kept.departure, arrived + kept.shares.back().ns);
  }
  bool may_reorder = true;
  for (Rule* rule : rules) {
    if (const plan::LatencyParams* latency = rule->latency()) {
      const Duration drawn = (*rule->samplers)[direction].next();
      kept.shares.push_back({rule, rule->no_longer(drawn, arrived), false});
      kept.departure += kept.shares.back().ns;
      may_reorder = may_reorder && latency->reorder;
    }
    may_reorder = may_reorder && !rule->limiters;
  }
  if (kept_bytes_ + kept.frame.capacity > options_.most_bytes) {
    for (const Kept::Share& share : kept.shares) {
      ++share.rule->overflowed;
    }
    write_back(kept);
    return;
  }
  if (!may_reorder) {
    const std::uint64_t departure = flows_->not_before(parcel, kept.departure, arrived);
    if (kept.shares.size() == 1) {
      kept.shares.front().ns += departure - kept.departure;
    }
    kept.departure = departure;
  }
  for (Rule* rule : rules) {
    if (const auto* reorder = std::get_if<plan::ReorderParams>(&rule->params)) {
      kept.shares.push_back({rule, rule->no_longer(reorder->delay, arrived), false});
      kept.departure += kept.shares.back().ns;
    }
  }
  kept_bytes_ += kept.frame.capacity;
  queue_.push_back(std::move(kept));
  std::push_heap(queue_.begin(), queue_.end(), Kept::later);
}

bool DelayLine::write_back(const Kept& kept) {
  if (::write(options_.tap.get(), kept.frame.data.get(), kept.frame.size) >= 0) {
    return true;
  }
  const int error = errno;
  for (const Kept::Share& share : kept.shares) {
    if (++share.rule->lost == 1) {
      spdlog::warn("the kernel did not take a delayed packet back: {}", std::strerror(error));
    }
  }
  return false;
}

void DelayLine::let_go(Kept& kept, std::uint64_t now) {
  // What leaves before its time, because its rule ended, was delayed by that much less.
  const std::uint64_t late = now > kept.departure ? now - kept.departure : 0;
  const std::uint64_t early = kept.departure > now ? kept.departure - now : 0;
  if (!write_back(kept)) {
    return;
  }
  for (const Kept::Share& share : kept.shares) {
    const std::uint64_t given = share.ns > early ? share.ns - early : 0;
    if (share.rule->limiters) {
      const hf_parcel parcel = parcel_in(kept.frame);
      RateLimiter& limiter = (*share.rule->limiters)[parcel.direction % HF_DIRECTIONS];
      limiter.departed(parcel.flow, now, wire_bytes(kept.frame), share.queued);
      share.rule->bits_per_second = limiter.measured_rate();
    }
    share.rule->delays.record(Duration(static_cast<Duration::rep>(given + late)));
    if (early == 0) {
      share.rule->lateness.record(Duration(static_cast<Duration::rep>(late)));
    }
  }
  if (kept.frame.capacity == kMostFrame && spare_.size() < kMostSpare) {
    spare_.push_back(std::move(kept.frame));
  }
}

void DelayLine::let_go_due(std::uint64_t now) {
  for (std::size_t i = 0; i < kBatch && !queue_.empty() && queue_.front().departure <= now; ++i) {
    std::pop_heap(queue_.begin(), queue_.end(), Kept::later);
    Kept kept = std::move(queue_.back());
    queue_.pop_back();
    kept_bytes_ -= kept.frame.capacity;
    let_go(kept, now_ns());
  }
}

void DelayLine::let_go_all() {
  std::ranges::sort(queue_, [](const Kept& a, const Kept& b) { return Kept::later(b, a); });
  for (Kept& kept : queue_) {
    let_go(kept, now_ns());
  }
  queue_.clear();
  kept_bytes_ = 0;
}

// Rules that change, and those that end: what was kept for them leaves, in order.
void DelayLine::obey() {
  std::vector<std::size_t> ending;
  std::uint64_t asked = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [rule, params] : std::exchange(retuned_, {})) {
      rules_.at(rule)->retune(params);
    }
    if (done_ == asked_) {
      return;
    }
    ending = std::exchange(ending_, {});
    asked = asked_;
  }
  while (take_in(kBatch)) {
  }
  const auto is_over = [&](const Kept& kept) {
    return std::ranges::any_of(kept.shares, [&](const Kept::Share& share) {
      return std::ranges::any_of(
          ending, [&](std::size_t rule) { return rules_.at(rule).get() == share.rule; });
    });
  };
  const std::uint64_t now = now_ns();
  for (Kept& kept : queue_) {
    if (is_over(kept) && kept.departure > now) {
      for (Kept::Share& share : kept.shares) {
        const std::uint64_t early = kept.departure - now;
        share.ns = share.ns > early ? share.ns - early : 0;
      }
      kept.departure = now;
    }
  }
  std::ranges::make_heap(queue_, Kept::later);
  while (!queue_.empty() && queue_.front().departure <= now) {
    let_go_due(now);
  }
  const std::lock_guard lock(mutex_);
  done_ = asked;
  obeyed_.notify_all();
}

// Until the departure, unless something else comes up.
void DelayLine::spin(std::uint64_t departure) {
  std::array<pollfd, 2> files = {{{.fd = options_.tap.get(), .events = POLLIN, .revents = 0},
                                  {.fd = wake_.get(), .events = POLLIN, .revents = 0}}};
  const std::uint64_t began = now_ns();
  std::uint64_t now = began;
  while (now < departure && ::poll(files.data(), files.size(), 0) == 0) {
    now = now_ns();
  }
  may_spin_from_ = now + kSpinsOneIn * (now - began);
}

// For a packet, a request, the next departure or the next beat.
void DelayLine::wait(std::uint64_t now) {
  std::uint64_t until = next_beat_;
  bool for_departure = false;
  if (!queue_.empty()) {
    const std::uint64_t departure = queue_.front().departure;
    std::uint64_t wake_at = departure;
    if (departure >= may_spin_from_ + early_ns_) {
      if (departure <= now + early_ns_) {
        spin(departure);
        return;
      }
      wake_at -= early_ns_;
    }
    for_departure = wake_at < until;
    until = std::min(until, wake_at);
  }
  if (until <= now) {
    return;
  }
  const std::uint64_t left = until - now;
  const timespec timeout{.tv_sec = static_cast<time_t>(left / 1'000'000'000),
                         .tv_nsec = static_cast<long>(left % 1'000'000'000)};
  std::array<pollfd, 2> files = {{{.fd = options_.tap.get(), .events = POLLIN, .revents = 0},
                                  {.fd = wake_.get(), .events = POLLIN, .revents = 0}}};
  const int ready = ::ppoll(files.data(), files.size(), &timeout, nullptr);
  if (ready > 0 && files[1].revents != 0) {
    eventfd_t ignored = 0;
    ::eventfd_read(wake_.get(), &ignored);
  }
  if (ready == 0 && for_departure) {
    // Towards what is enough for nine in ten: up by nine steps, down by one.
    constexpr std::uint64_t kStep = 1000;
    const std::uint64_t late = now_ns() - until;
    early_ns_ = late > early_ns_ ? std::min(early_ns_ + 9 * kStep, kMostSpinning)
                                 : early_ns_ - std::min(early_ns_, kStep);
  }
}

}  // namespace holdfast::agent
