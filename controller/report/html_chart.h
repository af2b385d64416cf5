// One probe over time as inline SVG. Internal to the HTML report.
#pragma once

#include <string>

#include "controller/report/run_report.h"

namespace holdfast::report {

// Its values, the bound of its tolerance, misses, missing data, and the fault windows shaded
// behind.
std::string draw_chart(const RunReport& report, const ProbeReport& probe);

}  // namespace holdfast::report
