// Plan text to plan structs. The only file pair that sees yaml-cpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/plan.h"

namespace holdfast::plan {

// One thing that is wrong with a plan's text.
struct Diagnostic {
  Location where;
  std::string message;     // what is wrong, in one clause
  std::string found;       // what was found there, shortened; may be empty
  std::string accepted;    // what is accepted there, or the cure
  std::string suggestion;  // "did you mean": the nearest accepted word; may be empty

  // "plan.yaml:12:9: spec.method[0].fault: unknown fault; found "blackhol"; accepted: …; did you
  // mean "blackhole"?"
  std::string text() const;
};

struct ParseOutcome {
  std::optional<Experiment> experiment;  // only where diagnostics is empty
  std::vector<Diagnostic> diagnostics;   // in the order of the text
};

// Largest plan file that is read, in bytes.
inline constexpr std::size_t kMaxPlanBytes = 1024 * 1024;

// Reads and checks a plan file. Never throws; a missing, unreadable or too large file is a
// diagnostic too.
ParseOutcome load_plan(const std::string& path);
// The same for text that is at hand; `file` is the name used in messages.
ParseOutcome parse_plan(std::string_view text, const std::string& file);

}  // namespace holdfast::plan
