// Moves the calling thread into a network namespace.
#pragma once

#include <string>

#include "common/result.h"

namespace holdfast::verify {

// `netns` is a name under /run/netns or a path. The thread stays there; other threads are not
// moved. Errors: not_found, permission, usage (the file is not a network namespace).
Result<void> enter_netns(const std::string& netns);

}  // namespace holdfast::verify
