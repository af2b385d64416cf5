// `holdfast help [COMMAND]`: the manual pages.
#pragma once

#include "cli/command.h"

namespace holdfast::cli {

Command help_command();

}  // namespace holdfast::cli
