#include "cli/commands.h"

#include "cli/completion_command.h"
#include "cli/doctor_command.h"
#include "cli/explain_command.h"
#include "cli/help_command.h"
#include "cli/run_command.h"
#include "cli/validate_command.h"
#include "cli/version_command.h"

namespace holdfast::cli {

const std::vector<Command>& all_commands() {
  static const std::vector<Command> commands{
      doctor_command(), validate_command(), explain_command(),    run_command(),
      help_command(),   version_command(),  completion_command(),
  };
  return commands;
}

}  // namespace holdfast::cli
