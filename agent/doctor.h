// What a node's features mean for experiments: each thing that is missing, with its consequence and
// what is done about it. Pure functions of Features.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/kernel/features.h"
#include "common/result.h"

namespace holdfast::agent {

enum class FindingStatus {
  ok,
  degraded,  // experiments run, by a fallback or with less comfort
  missing,   // no experiment can run here
};
std::string_view to_string(FindingStatus status);

struct Finding {
  std::string id;     // for machines, stable: "privileges", "attach"
  std::string title;  // for people: at most 20 characters
  FindingStatus status = FindingStatus::ok;
  std::string found;          // one clause
  std::string consequence{};  // what it means for experiments; empty where status is ok
  std::string cure{};         // the fallback that will be used, or what the user can do
};

struct Examination {
  std::vector<Finding> findings;    // the decisive ones first
  bool can_inject = false;          // nothing is missing
  std::string mechanism;            // "tcx", "clsact"; empty where nothing can be injected
  std::vector<std::string> faults;  // kinds that this node can inject
  std::string verdict;              // one line
};

Examination examine(const kernel::Features& features);

// The preflight of a run: whether experiments can run on this node. The error names the first thing
// that is missing, in one line, with its cure. Errors: permission, unsupported.
Result<void> require_usable(const kernel::Features& features);

}  // namespace holdfast::agent
