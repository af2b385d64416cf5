// `holdfast completion`: prints the script that a shell sources to complete our command lines.
#pragma once

#include "cli/command.h"

namespace holdfast::cli {

Command completion_command();

}  // namespace holdfast::cli
