// `holdfast version`.
#pragma once

#include "cli/command.h"

namespace holdfast::cli {

Command version_command();

}  // namespace holdfast::cli
