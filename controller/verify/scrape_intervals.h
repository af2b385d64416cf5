// How often each series is scraped: what "older than two scrape intervals" is measured with.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "controller/verify/sample.h"
#include "controller/verify/server_api.h"

namespace holdfast::verify {

// Sources, the first that tells wins: the plan's scrapeInterval, the server's targets (by job and
// instance), its global configuration (the longer of scrape and evaluation interval, since a series
// of no target comes from a recording rule or through a gateway), 60 s.
class ScrapeIntervals {
 public:
  using Clock = std::chrono::steady_clock;
  using Milliseconds = std::chrono::milliseconds;
  static constexpr std::chrono::seconds kMaxAge{30};

  explicit ScrapeIntervals(std::optional<Milliseconds> fixed) : fixed_(fixed) {}

  // Asks the server again where the last answer is older than kMaxAge. A server that has no such
  // API (a proxy, a long-term store) is no error, one that can't be reached is.
  ApiResult<void> refresh(ServerApi& server, Clock::time_point now);

  // The same at once, for a series of a target that came after the last answer. Asks once for each
  // such target and kMaxAge only: series that belong to no target stay unknown.
  ApiResult<void> refresh_for(const Labels& labels, ServerApi& server, Clock::time_point now);

  Milliseconds of(const Labels& labels) const;
  // No series has a shorter one.
  Milliseconds shortest() const;

 private:
  using TargetKey = std::pair<std::string, std::string>;  // job, instance
  static TargetKey key_of(const Labels& labels);
  ApiResult<void> ask(ServerApi& server, Clock::time_point now);

  std::optional<Milliseconds> fixed_;
  std::map<TargetKey, Milliseconds> by_target_;
  Milliseconds otherwise_{std::chrono::seconds(60)};
  std::set<TargetKey> asked_in_vain_;
  std::optional<Clock::time_point> asked_at_;
};

}  // namespace holdfast::verify
