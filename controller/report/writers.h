// Writers of a run's report, each a pure function of it.
#pragma once

#include <filesystem>
#include <string>

#include "controller/report/run_report.h"

namespace holdfast::report {

std::string to_json(const RunReport& report);   // report.json; its schema is docs/report.md
std::string to_junit(const RunReport& report);  // junit.xml: one test case for each probe, action,
                                                // the recovery, the host
std::string to_html(const RunReport& report);   // report.html: one file, no outside resource
std::string to_terminal(const RunReport& report,
                        bool colour);  // the summary that ends `holdfast run`

// Writes report.json, junit.xml and report.html into `directory` (made if missing); each appears
// whole or not at all.
Result<void> write_all(const RunReport& report, const std::filesystem::path& directory);

}  // namespace holdfast::report
