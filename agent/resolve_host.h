// Names to addresses by the node's resolver.
#pragma once

#include <string>
#include <vector>

#include "common/plan.h"
#include "common/result.h"

namespace holdfast::agent {

// Every IPv4 and IPv6 address of a name, or the address itself where `host` is one already
// (brackets around IPv6 are taken off). Blocks as long as the resolver does. Errors: unavailable.
Result<std::vector<plan::Prefix>> resolve_host(const std::string& host);

}  // namespace holdfast::agent
