// Help texts, in the form of a manual page of at most 80 columns.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace holdfast::cli {

inline constexpr std::size_t kHelpColumns = 80;

// `text` broken at spaces into lines of at most `columns`, each after `indent` spaces. A longer
// word keeps a line of its own, whole.
std::string wrap(std::string_view text, std::size_t indent, std::size_t columns = kHelpColumns);

// "holdfast validate [OPTIONS] FILE..."
std::string synopsis(const Command& command);

// NAME, SYNOPSIS, DESCRIPTION, OPTIONS, EXIT STATUS, EXAMPLES, ENVIRONMENT, FILES.
std::string manual_page(const Command& command);

// The page of `holdfast` itself: what it is, and its commands.
std::string overview(const std::vector<Command>& commands);

// Three lines for who typed `holdfast` alone.
std::string short_usage(const std::vector<Command>& commands);

// The options of a command: its own ones and those that every command has.
boost::program_options::options_description all_options(const Command& command);

}  // namespace holdfast::cli
