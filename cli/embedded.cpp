#include "cli/embedded.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/program_options/value_semantic.hpp>
#include <chrono>
#include <ostream>

#include "agent/doctor.h"
#include "agent/journal.h"
#include "agent/kernel/features.h"
#include "agent/kernel/libbpf_kernel.h"
#include "agent/node_agent.h"
#include "common/plan_yaml.h"

namespace holdfast::cli {
namespace {

Result<std::string> choose_mechanism(const Invocation& invocation,
                                     const agent::kernel::Features& features) {
  std::string wanted = invocation.options.count("mechanism") > 0
                           ? invocation.options["mechanism"].as<std::string>()
                           : "auto";
  if (wanted == "auto") {
    return std::string(features.attach_mechanism());
  }
  if (wanted != "tcx" && wanted != "clsact") {
    return fail(ErrorKind::usage, fmt::format("no such mechanism: \"{}\"", wanted),
                "one of: auto, tcx, clsact");
  }
  if (!(wanted == "tcx" ? features.tcx : features.clsact).yes()) {
    return fail(ErrorKind::unsupported,
                fmt::format("this kernel ({}) has no {}", features.release, wanted),
                "leave --mechanism out: the best that there is will be used");
  }
  return wanted;
}

}  // namespace

std::optional<plan::Experiment> load_or_explain(Console& console, const std::string& file) {
  plan::ParseOutcome outcome = plan::load_plan(file);
  for (const plan::Diagnostic& diagnostic : outcome.diagnostics) {
    console.err << diagnostic.text() << '\n';
  }
  return std::move(outcome.experiment);
}

void add_mechanism_option(boost::program_options::options_description& options) {
  options.add_options()(
      "mechanism", boost::program_options::value<std::string>()->value_name("NAME"),
      "Attach programs by tcx or clsact (default: auto, the best that this kernel has).");
}

Result<std::unique_ptr<agent::Agent>> make_local_agent(const Invocation& invocation,
                                                       const std::string& run_id) {
  const agent::kernel::Features& features = agent::kernel::host_features();
  if (auto usable = agent::require_usable(features); !usable) {
    return std::unexpected(usable.error());
  }
  auto mechanism = choose_mechanism(invocation, features);
  if (!mechanism) {
    return std::unexpected(mechanism.error());
  }
  agent::NodeAgentOptions options;
  options.run_id = run_id;
  return agent::make_node_agent(agent::kernel::make_libbpf_kernel(std::move(*mechanism)),
                                std::move(options));
}

Result<void> clean_up_after_killed_runs() {
  auto recovered = agent::recover(agent::kJournalDirectory);
  if (!recovered) {
    return std::unexpected(recovered.error().with_context("undo what a killed run left"));
  }
  for (const std::string& line : *recovered) {
    spdlog::warn("{}", line);
  }
  return {};
}

std::string make_run_id() {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y%m%d-%H%M%S}-{}", fmt::gmtime(now), ::getpid());
}

}  // namespace holdfast::cli
