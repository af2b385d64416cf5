// "A sample older than two scrape intervals is no data": asked of the series that a query selects.
//
// The result of an instant query carries the time of its evaluation, not that of its samples, and
// the server looks up to 5 minutes back for them. So the series themselves are asked for their age,
// at the instant of the result.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/verify/promql_selectors.h"
#include "controller/verify/scrape_intervals.h"
#include "controller/verify/server_api.h"

namespace holdfast::verify {

// Nothing where every selected series is fresh; else one line: which one is not, or why that can't
// be known.
// - A series whose newest sample is older than two of its scrape intervals is stale.
// - A selector that looks back (a range or a subquery) at series that have all ended is stale: it
//   would give numbers until the last sample has left the range.
// - A selector under an offset or @ is not looked at: it is meant to be old.
// - A selector without any series is no matter: what the query makes of that shows in its result.
// `at` is QueryResult::evaluated_at. One request where all is well; one more for each selector that
// can match several metrics, and one where a selector that looks back finds no series.
std::optional<std::string> find_stale(const std::vector<Selector>& selectors, double at,
                                      ServerApi& server, ScrapeIntervals& intervals,
                                      ScrapeIntervals::Clock::time_point now);

}  // namespace holdfast::verify
