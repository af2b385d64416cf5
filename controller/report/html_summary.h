// What a reader wants first: the verdict, what broke, and when. Internal to the HTML report.
#pragma once

#include <string>

#include "controller/report/run_report.h"

namespace holdfast::report {

// The head of the page: the verdict with its reason, and which probe missed when, in order.
std::string draw_summary(const RunReport& report);

// "16:08:33", UTC, of a time since the start of the run; empty where the start is not known. Good
// to a second: the report's start is.
std::string clock_time(const RunReport& report, double at);

}  // namespace holdfast::report
