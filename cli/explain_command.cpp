#include "cli/explain_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <ostream>
#include <thread>

#include "cli/embedded.h"
#include "controller/preflight.h"
#include "controller/verify/prometheus.h"

namespace holdfast::cli {
namespace {

// What a run would ask: its probes, and what would stop it.
std::vector<const plan::Probe*> all_probes(const plan::Experiment& experiment) {
  std::vector<const plan::Probe*> probes;
  probes.reserve(experiment.probes.size() + experiment.stop_conditions.size());
  for (const auto* list : {&experiment.probes, &experiment.stop_conditions}) {
    for (const plan::Probe& probe : *list) {
      probes.push_back(&probe);
    }
  }
  return probes;
}

// In a thread of its own: the evaluator may move to another network namespace.
std::vector<verify::Evaluation> evaluate_now(const plan::Experiment& experiment,
                                             const std::vector<const plan::Probe*>& probes) {
  std::vector<verify::Evaluation> values;
  std::thread([&] {
    auto evaluator = verify::make_prometheus_evaluator(experiment.prometheus);
    for (const plan::Probe* probe : probes) {
      values.push_back(evaluator ? (*evaluator)->evaluate(*probe)
                                 : verify::Evaluation{verify::Status::no_data, std::nullopt,
                                                      evaluator.error().message});
    }
  }).join();
  return values;
}

nlohmann::ordered_json to_json(const plan::Experiment& experiment,
                               const std::vector<agent::PreparedAction>& actions,
                               const std::vector<const plan::Probe*>& probes,
                               const std::vector<verify::Evaluation>& values) {
  nlohmann::ordered_json document{{"experiment", experiment.name},
                                  {"actions", nlohmann::ordered_json::array()},
                                  {"probes", nlohmann::ordered_json::array()}};
  for (std::size_t i = 0; i < actions.size(); ++i) {
    const agent::PreparedAction& one = actions[i];
    document["actions"].push_back({{"name", one.name},
                                   {"target", one.target},
                                   {"interfaces", one.interfaces},
                                   {"mechanism", one.mechanism},
                                   {"rules", one.rules},
                                   {"notes", one.notes},
                                   {"duration", format_duration(experiment.method[i].duration)}});
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    document["probes"].push_back(
        {{"name", probes[i]->name},
         {"stopCondition", i >= experiment.probes.size()},
         {"query", probes[i]->query},
         {"tolerance", probes[i]->tolerance.text()},
         {"status", verify::to_string(values[i].status)},
         {"value", values[i].value ? nlohmann::ordered_json(*values[i].value) : nullptr},
         {"detail", values[i].detail}});
  }
  return document;
}

void print(std::ostream& out, const plan::Experiment& experiment,
           const std::vector<agent::PreparedAction>& actions,
           const std::vector<const plan::Probe*>& probes,
           const std::vector<verify::Evaluation>& values) {
  out << fmt::format("{}: {}\n\nWould be injected (nothing is now):\n", experiment.name,
                     experiment.title);
  for (std::size_t i = 0; i < actions.size(); ++i) {
    const agent::PreparedAction& one = actions[i];
    out << fmt::format("  {} for {}, on {}\n    programs: {} on {}\n", one.name,
                       format_duration(experiment.method[i].duration), one.target, one.mechanism,
                       fmt::join(one.interfaces, ", "));
    for (const std::string& rule : one.rules) {
      out << fmt::format("    rule: {}\n", rule);
    }
    for (const std::string& note : one.notes) {
      out << fmt::format("    note: {}\n", note);
    }
  }
  out << "\nProbes, right now:\n";
  for (std::size_t i = 0; i < values.size(); ++i) {
    out << fmt::format("  {:<8} {}{} (wanted {}): {}\n", verify::to_string(values[i].status),
                       i >= experiment.probes.size() ? "stop condition " : "", probes[i]->name,
                       probes[i]->tolerance.text(), values[i].detail);
  }
}

int run(const Invocation& invocation) {
  Console& console = invocation.console;
  const auto experiment = load_or_explain(console, invocation.arguments.front());
  if (!experiment) {
    return kExitUsage;
  }
  auto agent = make_local_agent(invocation, make_run_id());
  if (!agent) {
    print_error(console, agent.error());
    return kExitUsage;
  }
  auto actions = (*agent)->prepare(*experiment, peers_of(*experiment));
  if (!actions) {
    print_error(console, actions.error());
    return kExitUsage;
  }
  const auto probes = all_probes(*experiment);
  const auto values = evaluate_now(*experiment, probes);
  if (invocation.has("json")) {
    console.out << to_json(*experiment, *actions, probes, values)
                       .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
                << '\n';
  } else {
    print(console.out, *experiment, *actions, probes, values);
  }
  return kExitOk;
}

}  // namespace

Command explain_command() {
  return Command{
      .name = "explain",
      .summary = "say what a run would touch, and what its probes say now",
      .arguments = {.placeholder = "FILE", .least = 1, .most = 1, .plan_files = true},
      .add_options =
          [](boost::program_options::options_description& options) {
            options.add_options()("json", "Print a JSON object to standard output.");
            add_mechanism_option(options);
          },
      .manual =
          {.description =
               {"Does the preflight of a run: checks the plan, resolves targets and names, "
                "compiles the "
                "rules, loads the programs without attaching them, and asks every probe once. "
                "Changes nothing."},
           .exit_status = {{"0", "A run could start."},
                           {"2", "It could not; the message says why."}},
           .examples = {{"holdfast explain experiments/quickstart.yaml",
                         "What the quickstart would do."}}},
      .run = run,
  };
}

}  // namespace holdfast::cli
