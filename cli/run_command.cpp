#include "cli/run_command.h"

#include <fmt/format.h>
#include <holdfast_version.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>

#include <boost/program_options/value_semantic.hpp>
#include <csignal>
#include <memory>
#include <optional>
#include <ostream>

#include "agent/kernel/features.h"
#include "agent/metered_agent.h"
#include "agent/metrics_server.h"
#include "cli/embedded.h"
#include "cli/progress.h"
#include "common/unique_fd.h"
#include "controller/report/writers.h"
#include "controller/runner.h"
#include "controller/verify/prometheus.h"

namespace holdfast::cli {
namespace {

// Signals become readable before any thread exists, so that none of them is ever ended by one.
Result<UniqueFd> catch_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    sigaddset(&set, number);
  }
  if (::pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) {
    return fail_errno("block signals", errno);
  }
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) {
    return fail_errno("make a signalfd", errno);
  }
  return fd;
}

// What --metrics says; nothing where it was not given.
Result<std::optional<agent::ListenAddress>> metrics_address(const Invocation& invocation) {
  if (invocation.options.count("metrics") == 0) {
    return std::nullopt;
  }
  auto address = agent::parse_listen_address(invocation.options["metrics"].as<std::string>());
  if (!address) {
    return std::unexpected(address.error().with_context("--metrics"));
  }
  return std::move(*address);
}

// Serves the agent's metrics at `address`; nobody where there is none.
Result<std::optional<agent::MetricsServer>> serve_metrics(
    const std::optional<agent::ListenAddress>& address,
    const std::shared_ptr<prometheus::Collectable>& source) {
  if (!address) {
    return std::nullopt;
  }
  auto server = agent::MetricsServer::start(*address, source);
  if (!server) {
    return std::unexpected(server.error());
  }
  if (!address->loopback) {
    spdlog::warn("metrics are served on {} without authentication, to everybody who can reach it",
                 address->text());
  }
  return std::move(*server);
}

int terminal_rows() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

int run(const Invocation& invocation) {
  Console& console = invocation.console;
  auto signals = catch_signals();
  if (!signals) {
    print_error(console, signals.error());
    return kExitUsage;
  }
  const auto address = metrics_address(invocation);
  if (!address) {
    print_error(console, address.error());
    return kExitUsage;
  }
  const auto experiment = load_or_explain(console, invocation.arguments.front());
  if (!experiment) {
    return kExitUsage;
  }
  const std::string run_id = make_run_id();
  auto agent = make_local_agent(invocation, run_id);
  if (!agent) {
    print_error(console, agent.error());
    return kExitUsage;
  }
  const auto metered = std::make_shared<agent::MeteredAgent>(
      std::move(*agent), agent::RunLabels{.run_id = run_id,
                                          .version = HOLDFAST_VERSION,
                                          .kernel = agent::kernel::host_features().release});
  // Declared after what it reads, so that it ends before that goes.
  const auto metrics = serve_metrics(*address, metered);
  if (!metrics) {
    print_error(console, metrics.error());
    return kExitUsage;
  }
  if (auto cleaned = clean_up_after_killed_runs(); !cleaned) {
    print_error(console, cleaned.error());
    return kExitUsage;
  }
  const bool as_json = invocation.has("json");
  std::ostream& talk = as_json ? console.err : console.out;
  Progress progress(
      talk, !as_json && console.out_is_terminal ? Progress::Rows(terminal_rows) : Progress::Rows());
  auto result = run_experiment(
      *experiment,
      {.agent = *metered,
       .evaluators = [&] { return verify::make_prometheus_evaluator(experiment->prometheus); },
       .observer = progress,
       .cancel_fd = signals->get(),
       .run_id = run_id});
  if (!result) {
    print_error(console, result.error());
    return kExitUsage;
  }
  const std::string directory = invocation.options.count("output") > 0
                                    ? invocation.options["output"].as<std::string>()
                                    : fmt::format("holdfast-runs/{}", run_id);
  auto written = report::write_all(*result, directory);
  if (as_json) {
    console.out << report::to_json(*result) << '\n';
  } else {
    console.out << '\n' << report::to_terminal(*result, console.colour);
  }
  if (!written) {
    print_error(console, written.error());
  } else {
    talk << fmt::format("report: {0}/report.html, {0}/report.json, {0}/junit.xml\n", directory);
  }
  return report::exit_code(result->verdict);
}

}  // namespace

Command run_command() {
  return Command{
      .name = "run",
      .summary = "run an experiment on this node and judge it",
      .arguments = {.placeholder = "FILE", .least = 1, .most = 1, .plan_files = true},
      .add_options =
          [](boost::program_options::options_description& options) {
            options.add_options()("output",
                                  boost::program_options::value<std::string>()->value_name("DIR"),
                                  "Write the reports to DIR instead of holdfast-runs/RUN.")(
                "json", "Print report.json to standard output, progress to standard error.");
            options.add_options()(
                "metrics", boost::program_options::value<std::string>()->value_name("ADDRESS:PORT"),
                "Serve the agent's metrics to Prometheus there while the run lasts.");
            add_mechanism_option(options);
          },
      .manual =
          {.description =
               {"Checks the plan and the node, watches the probes until the steady state is "
                "certain, injects the faults of the method, removes them, times the recovery, "
                "compares the host with its snapshot and says the verdict. Nothing else needs to "
                "run; it needs root.",
                "SIGINT (Ctrl-C), SIGTERM and SIGHUP remove every fault before anything else. "
                "A process that is killed or hangs leaves none behind either: the kernel ends "
                "them by itself within two seconds."},
           .exit_status =
               {{"0", "held: the failsafe held."},
                {"1", "breached: a probe missed its tolerance, or recovery came too late."},
                {"2", "Bad command line or plan, or this node can't do it; nothing was touched."},
                {"3", "not-injected: the fault hit no traffic."},
                {"4", "inconclusive: a probe had no data, or no steady state before."},
                {"5", "aborted: by a signal or a stop condition."},
                {"6", "dirty: the host is not as it was before."}},
           .examples = {{"holdfast run experiments/quickstart.yaml", "The quickstart, on the lab."},
                        {"holdfast run --metrics 127.0.0.1:9464 experiments/quickstart.yaml",
                         "The same; Prometheus scrapes the agent meanwhile."}},
           .environment = {},
           .files = {{"/run/holdfast", "Journals of runs, to undo what a killed one left."}}},
      .run = run,
  };
}

}  // namespace holdfast::cli
