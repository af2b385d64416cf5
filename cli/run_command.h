// `holdfast run`: one experiment, controller and agent in one process.
#pragma once

#include "cli/command.h"

namespace holdfast::cli {

Command run_command();

}  // namespace holdfast::cli
