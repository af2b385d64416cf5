// `holdfast doctor`: what this node and its kernel can do.
#pragma once

#include "cli/command.h"

namespace holdfast::cli {

Command doctor_command();

}  // namespace holdfast::cli
