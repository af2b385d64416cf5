// The registry of commands: an explicit list, in the order in which help shows them.
#pragma once

#include <vector>

#include "cli/command.h"

namespace holdfast::cli {

const std::vector<Command>& all_commands();

}  // namespace holdfast::cli
