// What a command of `holdfast` is: its words, its options, its manual page and the function that
// does it.
#pragma once

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/variables_map.hpp>
#include <cstddef>
#include <string>
#include <vector>

#include "cli/console.h"

namespace holdfast::cli {

// Exit codes that do not depend on the command. The verdicts of a run have their own (0, 1, 3 to 6,
// see report::exit_code).
inline constexpr int kExitOk = 0;
inline constexpr int kExitUsage = 2;        // bad command line or bad plan: nothing was touched
inline constexpr int kExitInternal = 70;    // a defect of holdfast (EX_SOFTWARE)
inline constexpr int kExitOutputLost = 74;  // the result could not be written (EX_IOERR)

// The words after the command that are not options.
struct ArgumentRule {
  std::string placeholder{};  // "FILE"; empty: the command takes none
  std::size_t least = 0;
  std::size_t most = 0;
  bool plan_files = false;             // completed with *.yaml and *.yml
  std::vector<std::string> choices{};  // completed with these; the command itself checks them
};

// A term and what it means, shown as an indented pair.
struct ManualEntry {
  std::string term{};
  std::string text{};
};

// What a manual page says beyond what is derived from the other fields. ASCII only, no line breaks:
// paragraphs are wrapped to 80 columns when they are printed.
struct Manual {
  std::vector<std::string> description{};  // paragraphs
  std::vector<ManualEntry> exit_status{};
  std::vector<ManualEntry> examples{};  // term: the command line, text: what it does
  std::vector<ManualEntry> environment{};
  std::vector<ManualEntry> files{};
};

// One parsed command line.
struct Invocation {
  boost::program_options::variables_map options;
  std::vector<std::string> arguments;  // as many as the ArgumentRule allows
  Console& console;

  // Whether a switch (an option without a value) was given.
  bool has(const std::string& option) const { return options.count(option) > 0; }
};

struct Command {
  std::string name{};
  std::string summary{};  // one line for the list of commands, lower case, no full stop
  ArgumentRule arguments{};
  // Adds the command's own options; --help, --verbose and --no-color are there for every command.
  // Null: none. Switches are declared without a semantic (`("json", "Print JSON.")`), so that
  // Invocation::has() tells.
  void (*add_options)(boost::program_options::options_description& options) = nullptr;
  Manual manual{};
  // Does it, and returns the exit code. Errors that the user should see go through print_error().
  // What it throws is caught in main() and reported as a defect.
  int (*run)(const Invocation& invocation) = nullptr;
  bool hidden = false;  // left out of the list of commands and of completion
};

}  // namespace holdfast::cli
