#include "controller/runner.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <holdfast_version.h>
#include <poll.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "agent/fault/fault.h"
#include "controller/preflight.h"
#include "controller/probe_watch.h"
#include "controller/prober.h"
#include "controller/verdict.h"

namespace holdfast {
namespace {

using report::Phase;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr auto kHeartbeat = std::chrono::milliseconds(200);  // a tenth of the lease

std::string utc_now() {
  return fmt::format(
      "{:%Y-%m-%dT%H:%M:%SZ}",
      fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

report::Counters to_report(const agent::Counters& counters) {
  return {.matched_packets = counters.matched_packets,
          .matched_bytes = counters.matched_bytes,
          .dropped_packets = counters.dropped_packets,
          .dropped_bytes = counters.dropped_bytes,
          .answered_packets = counters.answered_packets,
          .spared_packets = counters.spared_packets};
}

struct ActionRun {
  enum class State { waiting, live, done } state = State::waiting;
  Clock::time_point start, end;
};

class Run {
 public:
  Run(const plan::Experiment& experiment, const RunContext& context)
      : experiment_(experiment), context_(context), actions_(experiment.method.size()) {
    for (const plan::Probe& probe : experiment.probes) {
      add_probe(probe, false);
    }
    for (const plan::Probe& probe : experiment.stop_conditions) {
      add_probe(probe, true);
    }
    describe();
  }

  Result<report::RunReport> execute();

 private:
  void describe();
  void add_probe(const plan::Probe& probe, bool stop_condition);
  Result<bool> preflight();
  void baseline();
  void inject();
  void recover();
  void settle();

  void enter(Phase phase, Duration at_most);
  void say(const std::string& text);
  double now() const { return Seconds(Clock::now() - began_).count(); }
  bool ended() const { return !end_.aborted.empty() || !end_.inconclusive.empty(); }
  // One turn: samples taken, heartbeat given, cancellation seen. Returns no later than `until`.
  void turn(Clock::time_point until);
  void take_samples();
  void finish_phase(Phase phase, plan::When when);
  bool start_due_actions();
  void finish_action(std::size_t index);
  void read_counters(std::size_t index);
  void show_status();
  Result<void> remove_faults();

  const plan::Experiment& experiment_;
  const RunContext& context_;
  Clock::time_point began_ = Clock::now();
  report::RunReport report_;
  RunEnd end_;
  Phase phase_ = Phase::pending;
  Clock::time_point phase_began_ = began_, phase_ends_ = began_;
  std::vector<const plan::Probe*> probes_;
  std::vector<ProbeWatch> watches_;
  std::vector<ActionRun> actions_;
  std::unique_ptr<Prober> prober_;
  Clock::time_point removed_{};
};

void Run::describe() {
  utsname system{};
  ::uname(&system);
  report_.run_id = context_.run_id;
  report_.holdfast_version = HOLDFAST_VERSION;
  report_.plan_file = experiment_.file;
  report_.plan_sha256 = experiment_.sha256;
  report_.experiment = experiment_.name;
  report_.title = experiment_.title;
  report_.description = experiment_.description;
  report_.tags = experiment_.tags;
  report_.host = system.nodename;
  report_.kernel = system.release;
  report_.started_at = utc_now();
  report_.recovery_within = Seconds(experiment_.recovery_within).count();
}

void Run::add_probe(const plan::Probe& probe, bool stop_condition) {
  probes_.push_back(&probe);
  watches_.emplace_back(probe.failure_threshold);
  report::ProbeReport one;
  one.name = probe.name;
  one.query = probe.query;
  one.tolerance = probe.tolerance.text();
  one.bound = probe.tolerance.bound;
  one.stop_condition = stop_condition;
  one.failure_threshold = probe.failure_threshold;
  for (const plan::When when : probe.when) {
    one.when.emplace_back(plan::to_string(when));
  }
  report_.probes.push_back(std::move(one));
}

void Run::say(const std::string& text) {
  report_.events.push_back({now(), text});
  context_.observer.on_event(now(), text);
}

void Run::enter(Phase phase, Duration at_most) {
  if (!report_.phases.empty()) {
    report_.phases.back().end = now();
  }
  phase_ = phase;
  phase_began_ = Clock::now();
  phase_ends_ = phase_began_ + at_most;
  report_.phases.push_back({phase, now(), now()});
  for (ProbeWatch& watch : watches_) {
    watch.reset();
  }
  say(fmt::format("{}", report::to_string(phase)));
  show_status();
}

void Run::take_samples() {
  for (ProbeSample& sample : prober_->take()) {
    const double at = Seconds(sample.asked - began_).count();
    report_.probes[sample.probe].points.push_back(
        {at, phase_, sample.evaluation.status, sample.evaluation.value, sample.evaluation.detail});
    if (sample.asked < phase_began_) {
      continue;  // asked before the phase: says nothing about it
    }
    ProbeWatch& watch = watches_[sample.probe];
    watch.add(sample.evaluation, at);
    if (report_.probes[sample.probe].stop_condition && watch.status() != verify::Status::ok &&
        !ended()) {
      const std::string why =
          fmt::format("stop condition \"{}\": {}", probes_[sample.probe]->name, watch.detail());
      (watch.status() == verify::Status::miss ? end_.aborted : end_.inconclusive) = why;
    }
  }
}

void Run::turn(Clock::time_point until) {
  const auto wait =
      std::clamp<Clock::duration>(until - Clock::now(), Clock::duration::zero(), kHeartbeat);
  std::array<pollfd, 2> fds = {
      {{.fd = prober_ ? prober_->fd() : -1, .events = POLLIN, .revents = 0},
       {.fd = context_.cancel_fd, .events = POLLIN, .revents = 0}}};
  const timespec limit{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(wait).count()};
  (void)::ppoll(fds.data(), fds.size(), &limit, nullptr);
  if ((fds[1].revents & POLLIN) != 0 && end_.aborted.empty()) {
    // Before anything else, so that packets flow again at once.
    (void)context_.agent.disarm_all();
    end_.aborted = "ended by a signal";
  }
  context_.agent.renew_lease();
  if (prober_) {
    take_samples();
  }
  show_status();
}

void Run::finish_phase(Phase phase, plan::When when) {
  for (std::size_t i = 0; i < probes_.size(); ++i) {
    if (probes_[i]->when.contains(when)) {
      const std::string detail =
          watches_[i].evaluated() ? watches_[i].detail() : "was not evaluated in this phase";
      report_.probes[i].outcomes.push_back({phase, watches_[i].status(), detail});
    }
  }
}

// False: the run is over before it began, and the report says why.
Result<bool> Run::preflight() {
  enter(Phase::preflight, Duration::zero());
  auto prepared = context_.agent.prepare(experiment_, peers_of(experiment_));
  if (!prepared) {
    return std::unexpected(prepared.error());
  }
  for (std::size_t i = 0; i < prepared->size(); ++i) {
    const plan::Action& action = experiment_.method[i];
    const agent::PreparedAction& one = (*prepared)[i];
    report::ActionReport entry;
    entry.name = action.name;
    entry.fault = plan::describe_fault(action);
    entry.fault_kind = plan::to_string(action.fault);
    entry.target = one.target;
    entry.match = plan::describe(action.match);
    entry.interfaces = one.interfaces;
    entry.mechanism = fmt::format("{} on {}", one.mechanism, fmt::join(one.interfaces, ", "));
    entry.proof = "never injected";
    if (action.fault == plan::FaultKind::loss) {
      entry.requested_loss = action.loss.percent.share;
    }
    report_.actions.push_back(std::move(entry));
    report_.notes.insert(report_.notes.end(), one.notes.begin(), one.notes.end());
  }
  if (auto snapshot = context_.agent.snapshot_host(); !snapshot) {
    return std::unexpected(snapshot.error());
  }
  if (auto checked = check_queries(probes_, context_.evaluators); !checked) {
    if (checked.error().kind != ErrorKind::unavailable) {
      return std::unexpected(checked.error());
    }
    end_.inconclusive =
        fmt::format("Prometheus could not be asked before the start, so nothing was injected: {}",
                    checked.error().message);
    return false;
  }
  return true;
}

void Run::baseline() {
  enter(Phase::baseline, experiment_.baseline);
  auto prober = Prober::start(probes_, context_.evaluators);
  if (!prober) {
    end_.inconclusive = prober.error().message;
    return;
  }
  prober_ = std::move(*prober);
  const auto unseen = [&] {
    return std::any_of(watches_.begin(), watches_.end(),
                       [](const ProbeWatch& watch) { return !watch.evaluated(); });
  };
  while (!ended() && (Clock::now() < phase_ends_ || unseen())) {
    turn(std::max(phase_ends_, Clock::now() + std::chrono::milliseconds(20)));
    for (std::size_t i = 0; i < probes_.size() && !ended(); ++i) {
      if (probes_[i]->when.contains(plan::When::before) && watches_[i].evaluated() &&
          watches_[i].status() != verify::Status::ok) {
        end_.inconclusive = fmt::format(
            "the steady state did not hold before, so nothing was injected: probe \"{}\": {}",
            probes_[i]->name, watches_[i].detail());
      }
    }
  }
  finish_phase(Phase::baseline, plan::When::before);
}

bool Run::start_due_actions() {
  const auto at = Clock::now();
  bool pending = false;
  for (std::size_t i = 0; i < actions_.size() && !ended(); ++i) {
    ActionRun& run = actions_[i];
    const plan::Action& action = experiment_.method[i];
    if (run.state == ActionRun::State::live && at >= run.end) {
      finish_action(i);
    }
    if (run.state == ActionRun::State::waiting) {
      Clock::time_point due = phase_began_ + action.start_after;
      if (!action.start_after_action.empty()) {
        const auto other = std::find_if(
            experiment_.method.begin(), experiment_.method.end(),
            [&](const plan::Action& one) { return one.name == action.start_after_action; });
        const ActionRun& before =
            actions_[static_cast<std::size_t>(other - experiment_.method.begin())];
        due = before.state == ActionRun::State::done ? before.end : Clock::time_point::max();
      }
      if (at >= due) {
        if (auto armed = context_.agent.arm(i); !armed) {
          end_.aborted = armed.error().message;
          break;
        }
        run = {ActionRun::State::live, Clock::now(), Clock::now() + action.duration};
        report_.actions[i].start = now();
        say(fmt::format("action \"{}\" injected: {}", action.name, report_.actions[i].fault));
      }
    }
    pending = pending || run.state != ActionRun::State::done;
  }
  return pending;
}

void Run::read_counters(std::size_t index) {
  auto counters = context_.agent.counters(index);
  if (!counters) {
    return;
  }
  report::ActionReport& entry = report_.actions[index];
  const agent::FaultType& type = agent::fault_type(experiment_.method[index].fault);
  entry.counters = to_report(*counters);
  entry.proven = type.proven(*counters);
  entry.proof = type.proof(*counters);
  if (entry.requested_loss && counters->matched_packets > 0) {
    entry.measured_loss = static_cast<double>(counters->dropped_packets) /
                          static_cast<double>(counters->matched_packets);
  }
}

void Run::finish_action(std::size_t index) {
  ActionRun& run = actions_[index];
  if (run.state != ActionRun::State::live) {
    return;
  }
  auto removed = context_.agent.disarm(index);
  read_counters(index);
  run.state = ActionRun::State::done;
  run.end = std::min(run.end, Clock::now());
  report_.actions[index].end = now();
  say(removed ? fmt::format("action \"{}\" removed: {}", experiment_.method[index].name,
                            report_.actions[index].proof)
              : fmt::format("action \"{}\" could not be removed: {}",
                            experiment_.method[index].name, removed.error().message));
}

void Run::inject() {
  Duration longest{};
  for (const plan::Action& action : experiment_.method) {
    longest += action.start_after + action.duration;
  }
  enter(Phase::injecting, longest);
  while (!ended() && start_due_actions()) {
    Clock::time_point next = Clock::now() + kHeartbeat;
    for (std::size_t i = 0; i < actions_.size(); ++i) {
      if (actions_[i].state == ActionRun::State::live) {
        next = std::min(next, actions_[i].end);
      } else if (actions_[i].state == ActionRun::State::waiting) {
        next = std::min(next,
                        std::max(Clock::now(), phase_began_ + experiment_.method[i].start_after) +
                            std::chrono::milliseconds(1));
      }
    }
    turn(next);
  }
  (void)remove_faults();  // tried again in settle(), where it counts
  finish_phase(Phase::injecting, plan::When::during);
}

Result<void> Run::remove_faults() {
  for (std::size_t i = 0; i < actions_.size(); ++i) {
    finish_action(i);
  }
  auto removed = context_.agent.disarm_all();
  if (!removed) {
    say("not everything could be removed: " + removed.error().message);
  }
  removed_ = Clock::now();
  return removed;
}

void Run::recover() {
  enter(Phase::recovering, experiment_.recovery_within);
  const double removed = Seconds(removed_ - began_).count();
  bool asked = false;
  while (!ended()) {
    double latest = removed;
    bool steady = true;
    asked = false;
    for (std::size_t i = 0; i < probes_.size(); ++i) {
      if (!report_.probes[i].stop_condition && probes_[i]->when.contains(plan::When::after)) {
        asked = true;
        const auto since = watches_[i].steady_since();
        steady = steady && since;
        latest = std::max(latest, since.value_or(removed));
      }
    }
    if (steady) {
      report_.recovery_seconds = latest - removed;
      break;
    }
    if (Clock::now() >= phase_ends_) {
      break;
    }
    turn(phase_ends_);
  }
  if (!asked) {
    report_.notes.emplace_back("no probe is asked after the fault, so recovery was not timed");
  }
  // While the service recovers a probe may miss; what counts is whether it holds in time.
  for (std::size_t i = 0; i < probes_.size() && !ended(); ++i) {
    if (!report_.probes[i].stop_condition && probes_[i]->when.contains(plan::When::after)) {
      const ProbeWatch& watch = watches_[i];
      report::ProbeOutcome outcome{Phase::recovering, verify::Status::ok, watch.detail()};
      if (const auto since = watch.steady_since(); since) {
        // The watch remembers the miss, which would read as the reason of an ok.
        if (watch.status() != verify::Status::ok) {
          outcome.detail = fmt::format("holds again since {:.1f} s after the fault was removed",
                                       *since - removed);
        }
      } else {
        outcome.status = watch.status();
        if (outcome.status == verify::Status::ok) {
          outcome.status = verify::Status::miss;
          outcome.detail =
              fmt::format("never held {} times in a row", probes_[i]->failure_threshold);
        }
      }
      report_.probes[i].outcomes.push_back(std::move(outcome));
    }
  }
}

void Run::settle() {
  const auto removed = remove_faults();
  enter(Phase::settled, Duration::zero());
  prober_.reset();
  if (!removed) {
    report_.host_differences.push_back({"fault", "this node", "",
                                        "could not be removed: " + removed.error().message,
                                        removed.error().cure});
  }
  auto differences = context_.agent.compare_host();
  if (!differences) {
    report_.host_differences.push_back(
        {"snapshot", "host", "", "could not be taken: " + differences.error().message, ""});
  } else {
    for (const agent::HostDifference& one : *differences) {
      report_.host_differences.push_back({one.what, one.where, one.before, one.after, one.cure});
    }
  }
}

void Run::show_status() {
  RunStatus status;
  status.phase = phase_;
  status.left = std::max(0.0, Seconds(phase_ends_ - Clock::now()).count());
  for (const report::ProbeReport& probe : report_.probes) {
    ProbeStatus one{probe.name, probe.tolerance, {}, !probe.points.empty()};
    if (one.evaluated) {
      one.latest = {probe.points.back().status, probe.points.back().value,
                    probe.points.back().detail};
    }
    status.probes.push_back(std::move(one));
  }
  for (std::size_t i = 0; i < report_.actions.size(); ++i) {
    const bool live = actions_[i].state == ActionRun::State::live;
    if (live) {
      read_counters(i);
    }
    status.actions.push_back({report_.actions[i].name, live,
                              live ? Seconds(actions_[i].end - Clock::now()).count() : 0,
                              report_.actions[i].counters});
  }
  context_.observer.on_status(status);
}

Result<report::RunReport> Run::execute() {
  auto ready = preflight();
  if (!ready) {
    return std::unexpected(ready.error());
  }
  if (*ready) {
    baseline();
    if (!ended()) {
      inject();
    }
    if (!ended()) {
      recover();
    }
  }
  settle();
  report_.phases.back().end = now();
  report_.duration = now();
  report_.ended_at = utc_now();
  const Judgement judgement = judge_run(report_, end_);
  report_.verdict = judgement.verdict;
  report_.reason = judgement.reason;
  return report_;
}

}  // namespace

Result<report::RunReport> run_experiment(const plan::Experiment& experiment,
                                         const RunContext& context) {
  return Run(experiment, context).execute();
}

}  // namespace holdfast
