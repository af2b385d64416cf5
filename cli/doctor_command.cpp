#include "cli/doctor_command.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <ostream>
#include <string_view>

#include "agent/doctor.h"
#include "agent/kernel/features.h"
#include "cli/doctor_report.h"

namespace holdfast::cli {

namespace {

int run(const Invocation& invocation) {
  const agent::kernel::Features& features = agent::kernel::host_features();
  const agent::Examination examination = agent::examine(features);
  Console& console = invocation.console;
  console.out << (invocation.has("json") ? doctor_json(examination, features.release)
                                         : doctor_table(examination, console.colour));
  return examination.can_inject ? kExitOk : kExitUsage;
}

}  // namespace

Command doctor_command() {
  return Command{
      .name = "doctor",
      .summary = "say what this node and its kernel can do",
      .add_options =
          [](boost::program_options::options_description& options) {
            options.add_options()("json",
                                  "Print one JSON object: schema, kernel, can_inject, mechanism, "
                                  "faults, verdict, findings.");
          },
      .manual =
          {.description = {"Tries out what experiments need from this kernel and this process, and "
                           "prints one line "
                           "for each: ok, degraded (experiments run; the line below says how it "
                           "differs and what is "
                           "used instead), or missing (no experiment can run; the line below says "
                           "what mends it). "
                           "The last line is the verdict.",
                           "Features are tried, never derived from the kernel's version. The "
                           "trials take place in a "
                           "network namespace of their own that is gone afterwards: no interface, "
                           "qdisc, filter or "
                           "program of this host is touched, and no kernel module is loaded.",
                           "Without root it still says what it can, and names what is missing."},
           .exit_status = {{"0", "Experiments can run on this node."},
                           {"2", "They can't; the verdict names the reason."}},
           .examples =
               {{"sudo holdfast doctor", "Look at this node."},
                {"holdfast doctor --json | jq -r '.findings[] | select(.status!=\"ok\").id'",
                 "What is not as it should be, for a script."}},
           .environment = {{"NO_COLOR", "Where set and not empty, no colours are used."}}},
      .run = run,
  };
}

}  // namespace holdfast::cli
