#include "controller/prober.h"

#include <sys/eventfd.h>

#include <algorithm>

namespace holdfast {
namespace {

// A probe of an ordinary plan has a thread of its own; beyond that they share.
constexpr std::size_t kMostWorkers = 8;

}  // namespace

Result<std::unique_ptr<Prober>> Prober::start(const std::vector<const plan::Probe*>& probes,
                                              verify::EvaluatorFactory factory) {
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) {
    return fail_errno("make an eventfd", errno);
  }
  return std::unique_ptr<Prober>(new Prober(probes, std::move(factory), std::move(event)));
}

Prober::Prober(std::vector<const plan::Probe*> probes, verify::EvaluatorFactory factory,
               UniqueFd event)
    : probes_(std::move(probes)), factory_(std::move(factory)), event_(std::move(event)) {
  const std::size_t workers = std::min(probes_.size(), kMostWorkers);
  for (std::size_t i = 0; i < workers; ++i) {
    workers_.emplace_back(
        [this, i, workers](const std::stop_token& stop) { work(stop, i, workers); });
  }
}

Prober::~Prober() {
  for (std::jthread& worker : workers_) {
    worker.request_stop();
  }
}

void Prober::work(const std::stop_token& stop, std::size_t first, std::size_t stride) {
  using Clock = std::chrono::steady_clock;
  auto evaluator = factory_();
  struct Due {
    std::size_t probe;
    Clock::time_point at;
  };
  std::vector<Due> schedule;
  for (std::size_t i = first; i < probes_.size(); i += stride) {
    schedule.push_back({i, Clock::now()});
  }
  while (!stop.stop_requested()) {
    auto next = std::min_element(schedule.begin(), schedule.end(),
                                 [](const Due& a, const Due& b) { return a.at < b.at; });
    {
      std::unique_lock lock(mutex_);
      if (wake_.wait_until(lock, stop, next->at, [&] { return stop.stop_requested(); })) {
        return;
      }
    }
    const plan::Probe& probe = *probes_[next->probe];
    const auto asked = Clock::now();
    if (stop.stop_requested()) {
      return;
    }
    push({next->probe, asked,
          evaluator ? (*evaluator)->evaluate(probe)
                    : verify::Evaluation{verify::Status::no_data, std::nullopt,
                                         evaluator.error().message}});
    // After an evaluation that took longer than the interval the next is due at once, not several.
    next->at = std::max(next->at + probe.interval, Clock::now());
  }
}

void Prober::push(ProbeSample sample) {
  {
    const std::lock_guard lock(mutex_);
    samples_.push_back(std::move(sample));
  }
  (void)::eventfd_write(event_.get(), 1);
}

std::vector<ProbeSample> Prober::take() {
  eventfd_t ignored = 0;
  (void)::eventfd_read(event_.get(), &ignored);
  const std::lock_guard lock(mutex_);
  return std::exchange(samples_, {});
}

}  // namespace holdfast
