// `holdfast explain`: what a run would touch, and what its probes say now. Changes nothing.
#pragma once

#include "cli/command.h"

namespace holdfast::cli {

Command explain_command();

}  // namespace holdfast::cli
