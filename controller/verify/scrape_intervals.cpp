#include "controller/verify/scrape_intervals.h"

#include <algorithm>

namespace holdfast::verify {
namespace {

std::string label_or_empty(const Labels& labels, const std::string& name) {
  const auto found = labels.find(name);
  return found == labels.end() ? std::string() : found->second;
}

bool is_unreachable(const ApiError& error) {
  return error.kind == ApiError::Kind::unreachable;
}

}  // namespace

ScrapeIntervals::TargetKey ScrapeIntervals::key_of(const Labels& labels) {
  return {label_or_empty(labels, "job"), label_or_empty(labels, "instance")};
}

ApiResult<void> ScrapeIntervals::refresh(ServerApi& server, Clock::time_point now) {
  if (fixed_ || (asked_at_ && now - *asked_at_ < kMaxAge)) {
    return {};
  }
  asked_in_vain_.clear();
  return ask(server, now);
}

ApiResult<void> ScrapeIntervals::refresh_for(const Labels& labels, ServerApi& server,
                                             Clock::time_point now) {
  const TargetKey key = key_of(labels);
  if (fixed_ || by_target_.contains(key) || !asked_in_vain_.insert(key).second) {
    return {};
  }
  return ask(server, now);
}

ApiResult<void> ScrapeIntervals::ask(ServerApi& server, Clock::time_point now) {
  const auto targets = server.active_targets();
  if (!targets && is_unreachable(targets.error())) {
    return std::unexpected(targets.error());
  }
  const auto global = server.global_intervals();
  if (!global && is_unreachable(global.error())) {
    return std::unexpected(global.error());
  }
  by_target_.clear();
  for (const ScrapeTarget& target : targets.value_or(std::vector<ScrapeTarget>())) {
    // Two targets can share their labels, with different paths: the slower one is right for its own
    // series, and only late for the other's.
    Milliseconds& interval = by_target_[{target.job, target.instance}];
    interval = std::max(interval, target.interval);
  }
  if (global) {
    otherwise_ = std::max(global->scrape, global->evaluation);
  }
  asked_at_ = now;
  return {};
}

ScrapeIntervals::Milliseconds ScrapeIntervals::of(const Labels& labels) const {
  if (fixed_) {
    return *fixed_;
  }
  const auto found = by_target_.find(key_of(labels));
  return found == by_target_.end() ? otherwise_ : found->second;
}

ScrapeIntervals::Milliseconds ScrapeIntervals::shortest() const {
  if (fixed_) {
    return *fixed_;
  }
  Milliseconds shortest = otherwise_;
  for (const auto& [target, interval] : by_target_) {
    shortest = std::min(shortest, interval);
  }
  return shortest;
}

}  // namespace holdfast::verify
