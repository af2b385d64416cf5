#include "controller/verify/freshness.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "controller/verify/promql_duration.h"
#include "controller/verify/promql_tokens.h"

namespace holdfast::verify {
namespace {

// Labels that mark, in one common answer, what each sample is about; their value is an index of a
// selector. Distinct labels also keep `or` from taking two selectors' samples for one.
constexpr std::string_view kAge = "holdfast_age";
constexpr std::string_view kPresent = "holdfast_present";
constexpr std::string_view kEnded = "holdfast_ended";

// More metrics than this under one selector is a mistake in the plan sooner than a service
// objective.
constexpr std::size_t kMaxMetrics = 100;

std::string marked(const std::string& promql, std::string_view label, std::size_t index) {
  return fmt::format("label_replace({}, \"{}\", \"{}\", \"\", \"\")", promql, label, index);
}

void add_alternative(std::string& promql, const std::string& alternative) {
  promql += promql.empty() ? alternative : " or " + alternative;
}

// The index under `label`, where the sample has it.
std::optional<std::size_t> index_under(const Sample& sample, std::string_view label) {
  const auto found = sample.labels.find(std::string(label));
  std::size_t index = 0;
  if (found == sample.labels.end()) {
    return std::nullopt;
  }
  std::from_chars(found->second.data(), found->second.data() + found->second.size(), index);
  return index;
}

std::string unanswered(const ApiError& error) {
  return fmt::format("can't tell how old the samples are: {}", error.message);
}

std::string format_seconds(double seconds) {
  return fmt::format("{:.3g} s", seconds);
}

class Check {
 public:
  Check(double at, ServerApi& server, ScrapeIntervals& intervals,
        ScrapeIntervals::Clock::time_point now)
      : at_(at), server_(server), intervals_(intervals), now_(now) {}

  std::optional<std::string> run(const std::vector<Selector>& selectors) {
    for (const Selector& selector : selectors) {
      if (auto reason = selector.shifted ? std::nullopt : add(selector)) {
        return reason;
      }
    }
    if (watched_.empty()) {
      return std::nullopt;
    }
    if (auto refreshed = intervals_.refresh(server_, now_); !refreshed) {
      return unanswered(refreshed.error());
    }
    if (auto reason = find_old()) {
      return reason;
    }
    return find_ended();
  }

 private:
  // timestamp() takes the metric's name away, and the server refuses to answer with two series of
  // the same labels. So a selector that matches several metrics is asked for each of them.
  std::optional<std::string> add(const Selector& selector) {
    if (!selector.metric.empty()) {
      watch(selector);
      return std::nullopt;
    }
    const auto names = server_.query(fmt::format("group by (__name__) ({})", selector.text), at_);
    if (!names) {
      return unanswered(names.error());
    }
    if (names->samples.size() > kMaxMetrics) {
      return fmt::format("can't tell how old the samples are: {} matches more than {} metrics",
                         one_line(selector.text), kMaxMetrics);
    }
    for (const Sample& sample : names->samples) {
      const auto name = sample.labels.find("__name__");
      if (name != sample.labels.end()) {
        Selector one = selector;
        one.metric = name->second;
        one.text.insert(one.text.find('{') + 1,
                        fmt::format("__name__={},", quote_promql(name->second)));
        watch(one);
      }
    }
    if (names->samples.empty()) {
      watch(selector);
    }
    return std::nullopt;
  }

  // A selector that is written twice is asked for once, with the longer window.
  void watch(const Selector& selector) {
    const auto same = std::ranges::find(watched_, selector.text, &Selector::text);
    if (same == watched_.end()) {
      watched_.push_back(selector);
    } else {
      same->window = std::max(same->window, selector.window);
    }
  }

  std::optional<std::string> find_old() {
    // Series that are fresh by the shortest interval need not travel.
    const double bound = 2 * to_seconds(intervals_.shortest());
    std::string promql;
    for (std::size_t i = 0; i < watched_.size(); ++i) {
      const std::string& text = watched_[i].text;
      add_alternative(promql,
                      marked(fmt::format("((time() - timestamp({})) > {})", text, bound), kAge, i));
      if (watched_[i].window.count() > 0) {
        add_alternative(promql, marked(fmt::format("count({})", text), kPresent, i));
      }
    }
    const auto answer = server_.query(promql, at_);
    if (!answer) {
      return unanswered(answer.error());
    }
    if (!answer->warnings.empty()) {
      return fmt::format("can't tell how old the samples are: the server warns: {}",
                         answer->warnings.front());
    }
    for (const Sample& sample : answer->samples) {
      if (const auto index = index_under(sample, kPresent)) {
        present_.insert(*index);
      } else if (const auto aged = index_under(sample, kAge); aged && *aged < watched_.size()) {
        if (auto reason = judge_age(sample, watched_[*aged])) {
          return reason;
        }
      }
    }
    return std::nullopt;
  }

  std::optional<std::string> judge_age(const Sample& sample, const Selector& selector) {
    Labels labels = sample.labels;
    labels.erase(std::string(kAge));
    labels["__name__"] = selector.metric;
    if (auto refreshed = intervals_.refresh_for(labels, server_, now_); !refreshed) {
      return unanswered(refreshed.error());
    }
    const double interval = to_seconds(intervals_.of(labels));
    if (sample.value <= 2 * interval) {
      return std::nullopt;
    }
    return fmt::format("stale: the newest sample of {} is {} old, its scrape interval is {}",
                       describe(labels), format_seconds(sample.value), format_seconds(interval));
  }

  std::optional<std::string> find_ended() {
    std::string promql;
    for (std::size_t i = 0; i < watched_.size(); ++i) {
      if (watched_[i].window.count() > 0 && !present_.contains(i)) {
        // last_over_time() keeps the metric's name, unlike count_over_time(): see add().
        add_alternative(promql,
                        marked(fmt::format("count(last_over_time({}[{}]))", watched_[i].text,
                                           format_promql_duration(watched_[i].window)),
                               kEnded, i));
      }
    }
    if (promql.empty()) {
      return std::nullopt;
    }
    const auto answer = server_.query(promql, at_);
    if (!answer) {
      return unanswered(answer.error());
    }
    for (const Sample& sample : answer->samples) {
      if (const auto ended = index_under(sample, kEnded); ended && *ended < watched_.size()) {
        return fmt::format("stale: every series of {} has ended, only old samples are left",
                           one_line(watched_[*ended].text));
      }
    }
    return std::nullopt;
  }

  static double to_seconds(std::chrono::milliseconds value) {
    return std::chrono::duration<double>(value).count();
  }

  double at_;
  ServerApi& server_;
  ScrapeIntervals& intervals_;
  ScrapeIntervals::Clock::time_point now_;
  std::vector<Selector> watched_;
  std::set<std::size_t> present_;  // of those in watched_ that look back: have a series now
};

}  // namespace

std::optional<std::string> find_stale(const std::vector<Selector>& selectors, double at,
                                      ServerApi& server, ScrapeIntervals& intervals,
                                      ScrapeIntervals::Clock::time_point now) {
  return Check(at, server, intervals, now).run(selectors);
}

}  // namespace holdfast::verify
