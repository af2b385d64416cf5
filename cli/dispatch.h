// From the words of a command line to a command that runs.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "common/result.h"

namespace holdfast::cli {

// What follows the command's name, checked against its options and arguments. Abbreviated options
// are refused: a script that relies on one would break when a longer option comes along. Errors:
// usage.
Result<Invocation> parse_invocation(const Command& command, const std::vector<std::string>& words,
                                    Console& console);

// Runs the command line `words` (without the program's name) and returns the exit code. Exceptions
// of the command pass through.
int dispatch(const std::vector<Command>& commands, std::vector<std::string> words,
             Console& console);

}  // namespace holdfast::cli
