#include "cli/validate_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <istream>
#include <limits>
#include <nlohmann/json.hpp>
#include <ostream>

#include "common/plan_yaml.h"

namespace holdfast::cli {

namespace {

constexpr const char* kStandardInput = "<stdin>";

// At most one byte more than the largest plan, so that the parser sees and refuses what is too
// large.
std::string read_all(std::istream& in) {
  std::string text(plan::kMaxPlanBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

plan::ParseOutcome check(const std::string& file, std::istream& in) {
  return file == "-" ? plan::parse_plan(read_all(in), kStandardInput) : plan::load_plan(file);
}

std::string count(std::size_t number, std::string_view noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

std::string display_name(const std::string& file) {
  return file == "-" ? kStandardInput : file;
}

void print_outcome(Console& console, const std::string& file, const plan::ParseOutcome& outcome) {
  if (outcome.diagnostics.empty() && outcome.experiment) {
    const plan::Experiment& experiment = *outcome.experiment;
    console.out << fmt::format("{}: valid ({}, {})\n", display_name(file),
                               count(experiment.probes.size(), "probe"),
                               count(experiment.method.size(), "action"));
    return;
  }
  console.out.flush();  // the order of the files on a terminal
  for (const plan::Diagnostic& diagnostic : outcome.diagnostics) {
    console.err << diagnostic.text() << '\n';
  }
}

nlohmann::ordered_json to_json(const plan::Diagnostic& diagnostic) {
  return {{"file", diagnostic.where.file},     {"line", diagnostic.where.line},
          {"column", diagnostic.where.column}, {"key_path", diagnostic.where.key_path},
          {"message", diagnostic.message},     {"found", diagnostic.found},
          {"accepted", diagnostic.accepted},   {"suggestion", diagnostic.suggestion},
          {"text", diagnostic.text()}};
}

nlohmann::ordered_json to_json(const std::string& file, const plan::ParseOutcome& outcome) {
  nlohmann::ordered_json entry{
      {"file", display_name(file)},
      {"valid", outcome.experiment.has_value() && outcome.diagnostics.empty()}};
  if (outcome.experiment) {
    entry["name"] = outcome.experiment->name;
    entry["probes"] = outcome.experiment->probes.size();
    entry["actions"] = outcome.experiment->method.size();
  }
  entry["diagnostics"] = nlohmann::ordered_json::array();
  for (const plan::Diagnostic& diagnostic : outcome.diagnostics) {
    entry["diagnostics"].push_back(to_json(diagnostic));
  }
  return entry;
}

int run(const Invocation& invocation) {
  Console& console = invocation.console;
  if (std::ranges::count(invocation.arguments, "-") > 1) {
    print_error(console, Error{ErrorKind::usage, "validate: standard input can be read only once",
                               "give \"-\" once"});
    return kExitUsage;
  }
  const bool as_json = invocation.has("json");
  auto document = nlohmann::ordered_json::array();
  bool all_valid = true;
  for (const std::string& file : invocation.arguments) {
    const plan::ParseOutcome outcome = check(file, console.in);
    all_valid = all_valid && outcome.experiment.has_value() && outcome.diagnostics.empty();
    if (as_json) {
      document.push_back(to_json(file, outcome));
    } else {
      print_outcome(console, file, outcome);
    }
  }
  if (as_json) {
    // A plan may hold any bytes, and what was found is quoted: what is not UTF-8 is replaced, never
    // thrown at.
    console.out << document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  }
  return all_valid ? kExitOk : kExitUsage;
}

}  // namespace

Command validate_command() {
  return Command{
      .name = "validate",
      .summary = "check experiment plans without touching anything",
      .arguments = {.placeholder = "FILE",
                    .least = 1,
                    .most = std::numeric_limits<std::size_t>::max(),
                    .plan_files = true},
      .add_options =
          [](boost::program_options::options_description& options) {
            options.add_options()(
                "json", "Print a JSON array with one object for each FILE to standard output.");
          },
      .manual = {.description = {"Reads each FILE and checks everything that can be known from its "
                                 "text: keys, types, units, "
                                 "ranges, names that refer to each other. It needs no privileges, "
                                 "asks nobody, and changes nothing. "
                                 "Whether targets exist on this node and what they come to is for "
                                 "`holdfast explain`.",
                                 "Every mistake that can be found is reported on a line of its own "
                                 "on standard error, as "
                                 "file:line:column: key path: what is wrong; what was found; what "
                                 "is accepted; and what may have "
                                 "been meant.",
                                 "A FILE of \"-\" is standard input."},
                 .exit_status = {{"0", "Every FILE is a valid plan."},
                                 {"2", "At least one is not, or could not be read."}},
                 .examples = {{"holdfast validate experiments/*.yaml",
                               "Check all plans of a folder."},
                              {"holdfast validate --json plan.yaml | jq '.[].diagnostics'",
                               "The mistakes for an editor or a CI job."}}},
      .run = run,
  };
}

}  // namespace holdfast::cli
