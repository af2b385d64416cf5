#include "cli/manual.h"

#include <sstream>

namespace holdfast::cli {

namespace {

namespace po = boost::program_options;

constexpr std::size_t kIndent = 7;          // of a section's text, as man(1) has it
constexpr std::size_t kInnerIndent = 14;    // of the text below a term
constexpr std::size_t kCommandIndent = 20;  // of a summary beside its command

void section(std::ostream& page, std::string_view title) {
  page << '\n' << title << '\n';
}

// A term and its text, on one line where the term is short enough, as man(1) does.
void entry(std::ostream& page, std::string_view term, std::string_view text,
           std::size_t text_indent = kInnerIndent) {
  const std::string wrapped = wrap(text, text_indent);
  page << std::string(kIndent, ' ') << term;
  if (kIndent + term.size() < text_indent - 1 && !wrapped.empty()) {
    page << wrapped.substr(kIndent + term.size());
  } else {
    page << '\n' << wrapped;
  }
}

void entries(std::ostream& page, std::string_view title, const std::vector<ManualEntry>& list) {
  if (list.empty()) {
    return;
  }
  section(page, title);
  for (const ManualEntry& item : list) {
    entry(page, item.term, item.text);
  }
}

// "-v, --verbose" or "--output DIR". Boost writes the former as "-v [ --verbose ]".
std::string option_term(const po::option_description& option) {
  std::string term = option.format_name();
  if (const auto bracket = term.find(" [ "); bracket != std::string::npos) {
    term = term.substr(0, bracket) + ", " + term.substr(bracket + 3);
    term.resize(term.rfind(" ]"));
  }
  if (option.semantic()->max_tokens() > 0) {
    term += ' ' + option.semantic()->name();
  }
  return term;
}

void commands_section(std::ostream& page, const std::vector<Command>& commands) {
  section(page, "COMMANDS");
  for (const Command& command : commands) {
    if (!command.hidden) {
      entry(page, command.name, command.summary, kCommandIndent);
    }
  }
}

}  // namespace

std::string wrap(std::string_view text, std::size_t indent, std::size_t columns) {
  std::istringstream words{std::string(text)};
  std::string lines;
  std::string line;
  for (std::string word; words >> word;) {
    if (!line.empty() && indent + line.size() + 1 + word.size() > columns) {
      lines += std::string(indent, ' ') + line + '\n';
      line.clear();
    }
    line += line.empty() ? word : ' ' + word;
  }
  if (!line.empty()) {
    lines += std::string(indent, ' ') + line + '\n';
  }
  return lines;
}

std::string synopsis(const Command& command) {
  std::string line = "holdfast " + command.name + " [OPTIONS]";
  const ArgumentRule& rule = command.arguments;
  if (!rule.placeholder.empty()) {
    std::string words = rule.placeholder + (rule.most > 1 ? "..." : "");
    line += rule.least == 0 ? " [" + words + "]" : " " + words;
  }
  return line;
}

po::options_description all_options(const Command& command) {
  po::options_description options;
  if (command.add_options != nullptr) {
    command.add_options(options);
  }
  options.add_options()                                                                     //
      ("verbose,v", "Log what is being done to standard error.")                            //
      ("no-color", "Use no colours. They are only used on a terminal in the first place.")  //
      ("help,h", "Print this page and exit.");
  return options;
}

std::string manual_page(const Command& command) {
  std::ostringstream page;
  page << "NAME\n" << wrap("holdfast " + command.name + " - " + command.summary, kIndent);
  section(page, "SYNOPSIS");
  page << wrap(synopsis(command), kIndent);

  section(page, "DESCRIPTION");
  bool first = true;
  for (const std::string& paragraph : command.manual.description) {
    page << (first ? "" : "\n") << wrap(paragraph, kIndent);
    first = false;
  }

  section(page, "OPTIONS");
  const po::options_description options = all_options(command);
  for (const auto& option : options.options()) {
    entry(page, option_term(*option), option->description());
  }

  entries(page, "EXIT STATUS", command.manual.exit_status);
  entries(page, "EXAMPLES", command.manual.examples);
  entries(page, "ENVIRONMENT", command.manual.environment);
  entries(page, "FILES", command.manual.files);
  return page.str();
}

std::string overview(const std::vector<Command>& commands) {
  std::ostringstream page;
  page << "NAME\n"
       << wrap("holdfast - inject network failures, prove that failsafes hold", kIndent);
  section(page, "SYNOPSIS");
  page << wrap("holdfast COMMAND [OPTIONS] [ARGUMENTS]", kIndent);
  section(page, "DESCRIPTION");
  page << wrap(
      "Holdfast reads an experiment plan (YAML), injects the network faults it names by eBPF, "
      "watches the "
      "plan's probes in Prometheus meanwhile, removes every fault, and ends with a verdict: did "
      "the "
      "failsafe hold?",
      kIndent);
  page << '\n'
       << wrap(
              "Start with `holdfast doctor` (what this machine can do), then `holdfast explain` "
              "(what a "
              "plan would touch), then `holdfast run`.",
              kIndent);
  commands_section(page, commands);
  section(page, "OPTIONS");
  entry(page, "-h, --help",
        "Print this page and exit. `holdfast COMMAND --help` prints the command's own.");
  entry(page, "--version", "The same as `holdfast version`.");
  entries(page, "EXIT STATUS",
          {{"0", "The command did what it was asked to; for `run`: the failsafe held."},
           {"2", "Bad command line or bad plan; nothing was touched."},
           {"1, 3 to 6", "Verdicts of `run`, see `holdfast run --help`."},
           {"70", "A defect of holdfast; the message says what to report."},
           {"74", "The result could not be written to standard output."}});
  entries(page, "ENVIRONMENT", {{"NO_COLOR", "Where set and not empty, no colours are used."}});
  return page.str();
}

std::string short_usage(const std::vector<Command>& commands) {
  std::string names;
  for (const Command& command : commands) {
    if (!command.hidden) {
      names += (names.empty() ? "" : ", ") + command.name;
    }
  }
  return "usage: holdfast COMMAND [OPTIONS] [ARGUMENTS]\n" + wrap("commands: " + names, 0) +
         "`holdfast --help` says what they do.\n";
}

}  // namespace holdfast::cli
