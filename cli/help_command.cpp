#include "cli/help_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "cli/commands.h"
#include "cli/manual.h"
#include "common/suggest.h"

namespace holdfast::cli {

namespace {

int run(const Invocation& invocation) {
  if (invocation.arguments.empty()) {
    invocation.console.out << overview(all_commands());
    return kExitOk;
  }
  const std::string& name = invocation.arguments.front();
  const auto command = std::ranges::find(all_commands(), name, &Command::name);
  if (command == all_commands().end()) {
    std::vector<std::string> names;
    std::ranges::transform(all_commands(), std::back_inserter(names), &Command::name);
    const auto nearest = suggest(name, names);
    print_error(invocation.console,
                Error{ErrorKind::usage, fmt::format("help: there is no command {}", quote(name)),
                      nearest ? fmt::format("did you mean \"{}\"?", *nearest)
                              : "`holdfast --help` lists the commands"});
    return kExitUsage;
  }
  invocation.console.out << manual_page(*command);
  return kExitOk;
}

}  // namespace

Command help_command() {
  return Command{
      .name = "help",
      .summary = "show the manual page of a command",
      .arguments = {.placeholder = "COMMAND", .least = 0, .most = 1},
      .manual = {.description =
                     {"Prints the manual page of COMMAND, the same as `holdfast COMMAND --help`. "
                      "Without COMMAND it prints the page of holdfast itself."},
                 .exit_status = {{"0", "The page was printed."},
                                 {"2", "There is no such command."}},
                 .examples = {{"holdfast help run", "How to run an experiment."}}},
      .run = run,
  };
}

}  // namespace holdfast::cli
