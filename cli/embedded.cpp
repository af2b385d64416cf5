#include "cli/embedded.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <ostream>

#include "agent/doctor.h"
#include "agent/journal.h"
#include "agent/kernel/features.h"
#include "agent/kernel/libbpf_kernel.h"
#include "agent/node_agent.h"
#include "common/plan_yaml.h"

namespace holdfast::cli {

std::optional<plan::Experiment> load_or_explain(Console& console, const std::string& file) {
  plan::ParseOutcome outcome = plan::load_plan(file);
  for (const plan::Diagnostic& diagnostic : outcome.diagnostics) {
    console.err << diagnostic.text() << '\n';
  }
  return std::move(outcome.experiment);
}

Result<std::unique_ptr<agent::Agent>> make_local_agent(const std::string& run_id) {
  const agent::kernel::Features& features = agent::kernel::host_features();
  if (auto usable = agent::require_usable(features); !usable) {
    return std::unexpected(usable.error());
  }
  auto recovered = agent::recover(agent::kJournalDirectory);
  if (!recovered) {
    return std::unexpected(recovered.error().with_context("undo what a killed run left"));
  }
  for (const std::string& line : *recovered) {
    spdlog::warn("{}", line);
  }
  agent::NodeAgentOptions options;
  options.run_id = run_id;
  return agent::make_node_agent(
      agent::kernel::make_libbpf_kernel(std::string(features.attach_mechanism())),
      std::move(options));
}

std::string make_run_id() {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y%m%d-%H%M%S}-{}", fmt::gmtime(now), ::getpid());
}

}  // namespace holdfast::cli
