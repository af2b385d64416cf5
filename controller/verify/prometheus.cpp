#include "controller/verify/prometheus.h"

#include <exception>
#include <utility>

#include "controller/verify/enter_netns.h"
#include "controller/verify/freshness.h"
#include "controller/verify/judge.h"
#include "controller/verify/prometheus_api.h"
#include "controller/verify/promql_selectors.h"
#include "controller/verify/scrape_intervals.h"

namespace holdfast::verify {
namespace {

Evaluation no_data(std::string detail) {
  return {Status::no_data, std::nullopt, std::move(detail)};
}

class PrometheusEvaluator final : public ProbeEvaluator {
 public:
  PrometheusEvaluator(HttpClient client, const plan::PrometheusConfig& config)
      : server_(std::move(client), config.timeout), intervals_(milliseconds_of(config)) {}

  Evaluation evaluate(const plan::Probe& probe) override try {
    const auto result = server_.query(probe.query, std::nullopt);
    if (!result) {
      return no_data(result.error().message);
    }
    Evaluation evaluation = judge(*result, probe.tolerance);
    if (evaluation.status == Status::no_data) {
      return evaluation;
    }
    const auto selectors = find_selectors(probe.query);
    if (!selectors) {
      return no_data("can't tell how old the samples are: " + selectors.error().message);
    }
    // A miss on stale samples is no miss of the service either.
    if (auto stale = find_stale(*selectors, result->evaluated_at, server_, intervals_,
                                ScrapeIntervals::Clock::now())) {
      return no_data(std::move(*stale));
    }
    return evaluation;
  } catch (const std::exception& e) {
    return no_data(std::string("internal error: ") + e.what());
  }

  Result<void> check_query(const plan::Probe& probe) override try {
    const auto result = server_.query(probe.query, std::nullopt);
    if (!result) {
      return check_failed(result.error());
    }
    if (result->type == QueryResult::Type::matrix || result->type == QueryResult::Type::string) {
      return fail(ErrorKind::usage, "the query gives a " + std::string(to_string(result->type)),
                  "a probe needs a scalar or an instant vector");
    }
    if (auto selectors = find_selectors(probe.query); !selectors) {
      return fail(ErrorKind::usage, std::move(selectors.error().message),
                  "the server accepts the query, but the age of its samples could not be checked; "
                  "write it more plainly");
    }
    return {};
  } catch (const std::exception& e) {
    return fail(ErrorKind::internal, e.what());
  }

 private:
  static std::optional<std::chrono::milliseconds> milliseconds_of(
      const plan::PrometheusConfig& config) {
    if (!config.scrape_interval) {
      return std::nullopt;
    }
    return std::chrono::ceil<std::chrono::milliseconds>(*config.scrape_interval);
  }

  static Result<void> check_failed(const ApiError& error) {
    switch (error.kind) {
      case ApiError::Kind::bad_query:
        return fail(ErrorKind::usage, error.message, "correct the probe's query");
      case ApiError::Kind::execution:
        return {};  // parsed, and may well work on the data of another moment
      case ApiError::Kind::refused:
      case ApiError::Kind::malformed:
      case ApiError::Kind::unreachable:
        break;
    }
    return fail(ErrorKind::unavailable, error.message);
  }

  PrometheusApi server_;
  ScrapeIntervals intervals_;
};

}  // namespace

std::string_view to_string(Status status) {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::miss:
      return "miss";
    case Status::no_data:
      return "no-data";
  }
  return "no-data";
}

Result<std::unique_ptr<ProbeEvaluator>> make_prometheus_evaluator(
    const plan::PrometheusConfig& config) {
  // Files are read where the plan was written for, before the thread goes into another namespace.
  auto client = HttpClient::make(config);
  if (!client) {
    return std::unexpected(std::move(client.error()));
  }
  if (!config.netns.empty()) {
    if (auto entered = enter_netns(config.netns); !entered) {
      return std::unexpected(std::move(entered.error()));
    }
  }
  return std::make_unique<PrometheusEvaluator>(std::move(*client), config);
}

}  // namespace holdfast::verify
