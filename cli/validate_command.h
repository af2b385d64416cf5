// `holdfast validate`: reads and checks plans, and touches nothing.
#pragma once

#include "cli/command.h"

namespace holdfast::cli {

Command validate_command();

}  // namespace holdfast::cli
