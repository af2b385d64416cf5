// From the words of a command line to exit codes and messages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "cli/commands.h"
#include "cli/dispatch.h"
#include "cli/manual.h"

namespace holdfast::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

struct Outcome {
  int code = -1;
  std::string out{}, err{};
};

Outcome call(const std::vector<Command>& commands, const std::vector<std::string>& words,
             const std::string& input = {}) {
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  Console console{.in = in, .out = out, .err = err};
  const int code = dispatch(commands, words, console);
  return {code, out.str(), err.str()};
}

Outcome call(const std::vector<std::string>& words, const std::string& input = {}) {
  return call(all_commands(), words, input);
}

// A command that prints what it was given.
Command echo_command() {
  return Command{
      .name = "echo",
      .summary = "print the arguments",
      .arguments = {.placeholder = "WORD", .least = 1, .most = 2},
      .add_options =
          [](boost::program_options::options_description& options) {
            options.add_options()("output,o",
                                  boost::program_options::value<std::string>()->value_name("DIR"),
                                  "Where to.")("json", "As JSON.");
          },
      .manual = {.description = {"First paragraph.", "Second paragraph."}},
      .run =
          [](const Invocation& invocation) {
            for (const std::string& word : invocation.arguments) {
              invocation.console.out << word << '\n';
            }
            if (invocation.has("output")) {
              invocation.console.out << "output=" << invocation.options["output"].as<std::string>()
                                     << '\n';
            }
            invocation.console.out << (invocation.has("json") ? "json\n" : "")
                                   << (invocation.console.verbose ? "verbose\n" : "");
            return 42;
          },
  };
}

Outcome echo(std::vector<std::string> words) {
  return call({echo_command()}, std::move(words));
}

TEST(Dispatch, WithoutACommandUsageGoesToStandardError) {
  const Outcome outcome = call(std::vector<std::string>{});
  EXPECT_EQ(outcome.code, kExitUsage);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, StartsWith("usage: holdfast COMMAND"));
  EXPECT_THAT(outcome.err, HasSubstr("validate"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("completion"))) << "it is hidden";
}

TEST(Dispatch, OptionsAndArgumentsInAnyOrder) {
  EXPECT_EQ(echo({"echo", "a", "--json", "b", "-o", "dir"}).out, "a\nb\noutput=dir\njson\n");
  EXPECT_EQ(echo({"echo", "--output=dir", "a"}).out, "a\noutput=dir\n");
  EXPECT_EQ(echo({"echo", "-odir", "a"}).out, "a\noutput=dir\n");
  EXPECT_EQ(echo({"-v", "echo", "a"}).out, "a\nverbose\n")
      << "what every command has may come first";
  EXPECT_EQ(echo({"echo", "a"}).code, 42) << "the command's own exit code";
}

TEST(Dispatch, TwoDashesEndTheOptions) {
  EXPECT_EQ(echo({"echo", "--", "--json"}).out, "--json\n");
  EXPECT_EQ(echo({"echo", "-"}).out, "-\n");
}

TEST(Dispatch, AbbreviatedOptionsAreRefused) {
  const Outcome outcome = echo({"echo", "--js", "a"});
  EXPECT_EQ(outcome.code, kExitUsage);
  EXPECT_THAT(outcome.err, HasSubstr("unknown option \"--js\""));
}

TEST(Dispatch, UnknownOptionNamesTheNearest) {
  const Outcome outcome = echo({"echo", "--jsno", "a"});
  EXPECT_EQ(outcome.code, kExitUsage);
  EXPECT_EQ(outcome.err,
            "holdfast: echo: unknown option \"--jsno\"\n  cure: did you mean \"--json\"?\n");
  EXPECT_THAT(outcome.out, IsEmpty());
}

TEST(Dispatch, UnknownCommandNamesTheNearest) {
  const Outcome near = call({"valdate"});
  EXPECT_EQ(near.code, kExitUsage);
  EXPECT_EQ(near.err,
            "holdfast: unknown command \"valdate\"\n  cure: did you mean \"validate\"?\n");
  const Outcome far = call({"qqqqqqqqqq"});
  EXPECT_EQ(far.code, kExitUsage);
  EXPECT_THAT(far.err, HasSubstr("holdfast --help"));
}

TEST(Dispatch, ArgumentsAreCounted) {
  EXPECT_EQ(echo({"echo"}).code, kExitUsage);
  EXPECT_THAT(echo({"echo"}).err, HasSubstr("WORD is missing"));
  EXPECT_THAT(echo({"echo"}).err, HasSubstr("usage: holdfast echo [OPTIONS] WORD..."));
  EXPECT_EQ(echo({"echo", "a", "b"}).code, 42);
  EXPECT_EQ(echo({"echo", "a", "b", "c"}).code, kExitUsage);
  EXPECT_THAT(echo({"echo", "a", "b", "c"}).err, HasSubstr("unexpected argument \"c\""));
}

TEST(Dispatch, BadOptionValuesAreUsageErrors) {
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"echo", "a", "--output"},
           {"echo", "a", "--json=yes"},
           {"echo", "a", "-o", "x", "-o", "y"},
       }) {
    const Outcome outcome = echo(words);
    EXPECT_EQ(outcome.code, kExitUsage) << words.back();
    EXPECT_THAT(outcome.err, MatchesRegex("holdfast: echo: .*\n  cure: .*\n")) << words.back();
  }
}

TEST(Dispatch, HelpWinsOverMissingArguments) {
  for (const std::string option : {"-h", "--help"}) {
    const Outcome outcome = echo({"echo", option});
    EXPECT_EQ(outcome.code, kExitOk);
    EXPECT_THAT(outcome.out, StartsWith("NAME\n       holdfast echo - print the arguments\n"));
    EXPECT_THAT(outcome.err, IsEmpty());
  }
}

TEST(Dispatch, HelpAndVersionWithoutACommand) {
  EXPECT_THAT(call({"--help"}).out, HasSubstr("COMMANDS"));
  EXPECT_EQ(call({"-h"}).out, call({"help"}).out);
  EXPECT_EQ(call({"--version"}).out, call({"version"}).out);
  EXPECT_EQ(call({"--versoin"}).code, kExitUsage);
}

TEST(Dispatch, WordsAreQuotedSafely) {
  EXPECT_EQ(quote("a\033[2Jb\n"), "\"a?[2Jb?\"");
  EXPECT_EQ(quote(std::string(100, 'x')), "\"" + std::string(60, 'x') + "...\"");
  EXPECT_THAT(call({"\033]0;x\007"}).err, Not(HasSubstr("\033")));
}

TEST(Manual, PageHasItsSectionsInOrder) {
  const std::string page = manual_page(echo_command());
  EXPECT_THAT(page, HasSubstr("SYNOPSIS\n       holdfast echo [OPTIONS] WORD...\n"));
  EXPECT_THAT(page, HasSubstr("       First paragraph.\n\n       Second paragraph.\n"));
  EXPECT_THAT(page, HasSubstr("       -o, --output DIR\n              Where to.\n"));
  EXPECT_THAT(page, HasSubstr("       -h, --help\n"));
}

TEST(Manual, WrapBreaksAtSpacesAndKeepsLongWords) {
  EXPECT_EQ(wrap("one two three", 2, 9), "  one two\n  three\n");
  EXPECT_EQ(wrap("incomprehensibilities no", 2, 9), "  incomprehensibilities\n  no\n");
  EXPECT_EQ(wrap("", 2, 9), "");
}

// Whoever adds a command learns here what it owes its users.
TEST(Registry, EveryCommandIsDocumentedWithin80Columns) {
  std::set<std::string> names;
  for (const Command& command : all_commands()) {
    EXPECT_TRUE(names.insert(command.name).second) << command.name << " is registered twice";
    EXPECT_THAT(command.summary, Not(IsEmpty())) << command.name;
    EXPECT_THAT(command.manual.description, Not(IsEmpty())) << command.name;
    EXPECT_THAT(command.manual.exit_status, Not(IsEmpty())) << command.name;
    EXPECT_THAT(command.manual.examples, Not(IsEmpty())) << command.name;
    EXPECT_NE(command.run, nullptr) << command.name;
    std::istringstream lines(manual_page(command));
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(line.size(), kHelpColumns) << command.name << ": " << line;
      EXPECT_TRUE(std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; }))
          << command.name << ": " << line;
    }
  }
}

TEST(HelpCommand, PrintsTheManualOfACommand) {
  EXPECT_EQ(call({"help", "validate"}).out, call({"validate", "--help"}).out);
  const Outcome unknown = call({"help", "validat"});
  EXPECT_EQ(unknown.code, kExitUsage);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean \"validate\"?"));
}

TEST(VersionCommand, JsonHasEveryVersion) {
  const auto document = nlohmann::json::parse(call({"version", "--json"}).out);
  for (const char* key : {"holdfast", "build_type", "libbpf", "kernel", "machine"}) {
    EXPECT_THAT(document.at(key).get<std::string>(), Not(IsEmpty())) << key;
  }
}

TEST(ValidateCommand, MissingFileIsNamed) {
  const Outcome outcome = call({"validate", "/nonexistent/plan.yaml"});
  EXPECT_EQ(outcome.code, kExitUsage);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, StartsWith("/nonexistent/plan.yaml"));
}

TEST(ValidateCommand, StandardInputIsReadOnce) {
  const Outcome outcome = call({"validate", "-"}, "kind: Experimnt\n");
  EXPECT_EQ(outcome.code, kExitUsage);
  EXPECT_THAT(outcome.err, HasSubstr("<stdin>:"));
  EXPECT_EQ(call({"validate", "-", "-"}, "kind: Experiment\n").code, kExitUsage);
}

TEST(ValidateCommand, JsonHasOneObjectForEachFileInOrder) {
  const Outcome outcome =
      call({"validate", "--json", "-", "/nonexistent/plan.yaml"}, "\xff\xfe: [");
  EXPECT_EQ(outcome.code, kExitUsage);
  EXPECT_THAT(outcome.err, IsEmpty());
  const auto document = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(document.size(), 2U);
  EXPECT_EQ(document[0].at("file"), "<stdin>");
  EXPECT_EQ(document[1].at("file"), "/nonexistent/plan.yaml");
  for (const auto& entry : document) {
    EXPECT_EQ(entry.at("valid"), false);
    ASSERT_FALSE(entry.at("diagnostics").empty());
    EXPECT_THAT(entry["diagnostics"][0].at("message").get<std::string>(), Not(IsEmpty()));
  }
}

TEST(CompletionCommand, KnowsEveryVisibleCommand) {
  const Outcome outcome = call({"completion", "bash"});
  EXPECT_EQ(outcome.code, kExitOk);
  for (const Command& command : all_commands()) {
    EXPECT_THAT(outcome.out, HasSubstr("    " + command.name + ")\n"));
  }
  EXPECT_EQ(call({"completion", "fish"}).code, kExitUsage);
}

}  // namespace
}  // namespace holdfast::cli
