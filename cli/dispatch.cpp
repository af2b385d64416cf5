#include "cli/dispatch.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/parsers.hpp>
#include <ostream>
#include <string_view>

#include "cli/manual.h"
#include "common/suggest.h"

namespace holdfast::cli {

namespace {

namespace po = boost::program_options;
namespace style = po::command_line_style;

constexpr int kOptionStyle = style::unix_style & ~style::allow_guessing;

std::string did_you_mean(std::string_view word, const std::vector<std::string>& accepted,
                         std::string_view otherwise) {
  if (const auto nearest = suggest(word, accepted)) {
    return fmt::format("did you mean \"{}\"?", *nearest);
  }
  return std::string(otherwise);
}

std::string see_help(const Command& command) {
  return fmt::format("see `holdfast {} --help`", command.name);
}

std::vector<std::string> long_options(const Command& command) {
  std::vector<std::string> names;
  const po::options_description options = all_options(command);
  for (const auto& option : options.options()) {
    names.push_back("--" + option->long_name());
  }
  return names;
}

// Boost's own messages name the option in several ways; ours always as the user typed it.
Error option_error(const Command& command, const po::error& error) {
  Error result{ErrorKind::usage, error.what(), see_help(command)};
  if (const auto* unknown = dynamic_cast<const po::unknown_option*>(&error)) {
    const std::string option = unknown->get_option_name();
    result.message = fmt::format("{}: unknown option {}", command.name, quote(option));
    result.cure = did_you_mean(option, long_options(command), see_help(command));
  } else {
    result.message = fmt::format("{}: {}", command.name, error.what());
  }
  return result;
}

std::string count_of(const ArgumentRule& rule) {
  if (rule.placeholder.empty()) {
    return "no arguments";
  }
  if (rule.least == rule.most) {
    return fmt::format("{} {}", rule.least, rule.placeholder);
  }
  return rule.least == 0 ? fmt::format("at most {} {}", rule.most, rule.placeholder)
                         : fmt::format("at least {} {}", rule.least, rule.placeholder);
}

Result<void> check_arguments(const Command& command, const std::vector<std::string>& arguments) {
  const ArgumentRule& rule = command.arguments;
  if (arguments.size() < rule.least) {
    return fail(ErrorKind::usage, fmt::format("{}: {} is missing", command.name, rule.placeholder),
                "usage: " + synopsis(command));
  }
  if (arguments.size() > rule.most) {
    return fail(ErrorKind::usage,
                fmt::format("{}: unexpected argument {}: it takes {}", command.name,
                            quote(arguments.at(rule.most)), count_of(rule)),
                "usage: " + synopsis(command));
  }
  return {};
}

int refuse(Console& console, const Error& error) {
  print_error(console, error);
  return kExitUsage;
}

int unknown_command(const std::vector<Command>& commands, const std::string& name,
                    Console& console) {
  std::vector<std::string> names;
  for (const Command& command : commands) {
    if (!command.hidden) {
      names.push_back(command.name);
    }
  }
  return refuse(console, Error{ErrorKind::usage, fmt::format("unknown command {}", quote(name)),
                               did_you_mean(name, names, "`holdfast --help` lists the commands")});
}

// Options that every command has may also stand before the command, where people put them; a
// command's own may not.
bool may_precede_command(const std::string& word) {
  return word == "-v" || word == "--verbose" || word == "--no-color";
}

}  // namespace

Result<Invocation> parse_invocation(const Command& command, const std::vector<std::string>& words,
                                    Console& console) {
  const po::options_description options = all_options(command);
  Invocation invocation{.options = {}, .arguments = {}, .console = console};
  try {
    const auto parsed = po::command_line_parser(words).options(options).style(kOptionStyle).run();
    po::store(parsed, invocation.options);
    po::notify(invocation.options);
    // Words without an option's name are arguments. A positional_options_description would bind
    // them to a named option, which the user could then also give by that name.
    for (const auto& option : parsed.options) {
      if (option.string_key.empty()) {
        invocation.arguments.insert(invocation.arguments.end(), option.value.begin(),
                                    option.value.end());
      }
    }
  } catch (const po::error& error) {
    return std::unexpected(option_error(command, error));
  }
  if (!invocation.has("help")) {
    if (auto checked = check_arguments(command, invocation.arguments); !checked) {
      return std::unexpected(checked.error());
    }
  }
  return invocation;
}

int dispatch(const std::vector<Command>& commands, std::vector<std::string> words,
             Console& console) {
  const auto command_word = std::ranges::find_if_not(words, may_precede_command);
  if (command_word == words.end()) {
    console.err << short_usage(commands);
    return kExitUsage;
  }
  const std::string name = std::move(*command_word);
  words.erase(command_word);
  if (name == "-h" || name == "--help") {
    console.out << overview(commands);
    return kExitOk;
  }
  const std::string wanted = name == "--version" ? "version" : name;
  if (wanted.starts_with('-')) {
    return refuse(console,
                  Error{ErrorKind::usage, fmt::format("unknown option {}", quote(wanted)),
                        did_you_mean(wanted, {"--help", "--version", "--verbose", "--no-color"},
                                     "options of a command come after it; see `holdfast --help`")});
  }
  const auto command = std::ranges::find(commands, wanted, &Command::name);
  if (command == commands.end()) {
    return unknown_command(commands, wanted, console);
  }

  Result<Invocation> invocation = parse_invocation(*command, words, console);
  if (!invocation) {
    return refuse(console, invocation.error());
  }
  if (invocation->has("help")) {
    console.out << manual_page(*command);
    return kExitOk;
  }
  console.verbose = invocation->has("verbose");
  console.colour = console.colour && !invocation->has("no-color");
  set_up_logging(console.verbose);
  return command->run(*invocation);
}

}  // namespace holdfast::cli
