#include "cli/completion_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <string_view>

#include "cli/commands.h"
#include "cli/manual.h"

namespace holdfast::cli {

namespace {

// What completes after which command comes from the registry, so that it can't lag behind. Only the
// shell part is written by hand. It does without the bash-completion package, which minimal hosts
// lack.
constexpr std::string_view kBashHead = R"(# bash completion for holdfast
# To use it: source <(holdfast completion bash)

_holdfast_plan_files() {
  local word=$1 entry
  while IFS= read -r entry; do
    if [[ -d $entry ]]; then
      COMPREPLY+=("$entry/")
    elif [[ $entry == *.yaml || $entry == *.yml ]]; then
      COMPREPLY+=("$entry")
    fi
  done < <(compgen -f -- "$word")
  # Quotes names with spaces; and after a folder the user goes on typing. Only inside a completion.
  compopt -o filenames -o nospace 2>/dev/null || true
  if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} != */ ]]; then
    compopt +o nospace 2>/dev/null || true
  fi
}

_holdfast() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local command='' options='' words='' values='' plans='' index
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    if [[ ${COMP_WORDS[index]} != -* ]]; then
      command=${COMP_WORDS[index]}
      break
    fi
  done
  case $command in
)";

constexpr std::string_view kBashTail = R"(    *)
      return 0
      ;;
  esac
  # The value of an option is a path more often than not.
  if [[ -n $values && " $values " == *" $previous "* ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    compopt -o filenames 2>/dev/null || true
  elif [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
  elif [[ -n $plans ]]; then
    _holdfast_plan_files "$word"
  else
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  fi
}

complete -F _holdfast holdfast
)";

std::string visible_names() {
  std::string names;
  for (const Command& command : all_commands()) {
    if (!command.hidden) {
      names += (names.empty() ? "" : " ") + command.name;
    }
  }
  return names;
}

// One branch of the `case`: what the words after the command may be.
std::string branch(const Command& command) {
  std::string names;
  std::string taking_values;
  const auto options = all_options(command);
  for (const auto& option : options.options()) {
    const std::string name = "--" + option->long_name();
    names += (names.empty() ? "" : " ") + name;
    if (option->semantic()->max_tokens() > 0) {
      taking_values += (taking_values.empty() ? "" : " ") + name;
      const std::string shown =
          option->format_name();  // "-o [ --output ]" where there is a short form
      if (shown.starts_with('-') && !shown.starts_with("--")) {
        taking_values += ' ' + shown.substr(0, 2);
      }
    }
  }
  std::string words;
  for (const std::string& choice : command.arguments.choices) {
    words += (words.empty() ? "" : " ") + choice;
  }
  if (command.name == "help") {
    words = visible_names();
  }
  return fmt::format(
      "    {})\n      options='{}'\n      values='{}'\n      words='{}'\n      plans='{}'\n      "
      ";;\n",
      command.name, names, taking_values, words, command.arguments.plan_files ? "yes" : "");
}

std::string bash_script() {
  std::string script(kBashHead);
  script += fmt::format(
      "    '')\n      options='--help --version --verbose --no-color'\n      words='{}'\n      "
      ";;\n",
      visible_names());
  for (const Command& command : all_commands()) {
    script += branch(command);
  }
  script += kBashTail;
  return script;
}

int run(const Invocation& invocation) {
  if (invocation.arguments.front() != "bash") {
    print_error(invocation.console, Error{ErrorKind::usage,
                                          fmt::format("completion: there is none for {}",
                                                      quote(invocation.arguments.front())),
                                          "use bash: holdfast completion bash"});
    return kExitUsage;
  }
  invocation.console.out << bash_script();
  return kExitOk;
}

}  // namespace

Command completion_command() {
  return Command{
      .name = "completion",
      .summary = "print the completion script of a shell",
      .arguments = {.placeholder = "SHELL", .least = 1, .most = 1, .choices = {"bash"}},
      .manual =
          {.description = {"Prints a script that completes commands, options and plan files when "
                           "SHELL sources it. "
                           "SHELL is bash."},
           .exit_status = {{"0", "The script was printed."}, {"2", "There is none for SHELL."}},
           .examples = {{"source <(holdfast completion bash)", "For this shell."},
                        {"holdfast completion bash > /etc/bash_completion.d/holdfast",
                         "For every new shell, where the bash-completion package is installed."}}},
      .run = run,
      .hidden = true,
  };
}

}  // namespace holdfast::cli
