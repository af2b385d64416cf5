#include "controller/runner.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "controller/preflight.h"
#include "controller/probe_watch.h"
#include "controller/prober.h"
#include "controller/run_record.h"
#include "controller/verdict.h"

namespace holdfast {
namespace {

using report::Phase;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// At most; a tenth of the lease where that is less.
constexpr auto kHeartbeat = std::chrono::milliseconds(200);
constexpr auto kStatusInterval = std::chrono::milliseconds(200);

struct ActionRun {
  enum class State { waiting, live, done } state = State::waiting;
  Clock::time_point start, end;
};

class Run {
 public:
  Run(const plan::Experiment& experiment, const RunContext& context)
      : experiment_(experiment),
        context_(context),
        report_(begin_record(experiment, context.run_id)),
        actions_(experiment.method.size()) {
    for (const auto* probes : {&experiment.probes, &experiment.stop_conditions}) {
      for (const plan::Probe& probe : *probes) {
        probes_.push_back(&probe);
        watches_.emplace_back(probe.failure_threshold);
        since_start_.emplace_back(probe.failure_threshold);
      }
    }
  }

  Result<report::RunReport> execute();

 private:
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
  void show_status_now();
  void watch_lease();
  bool any_live() const;
  // When a waiting action starts; the end of time while that depends on one that goes on.
  Clock::time_point due(std::size_t index) const;
  bool start_action(std::size_t index);
  Phase phase_at(double at) const;
  Result<void> remove_faults();

  const plan::Experiment& experiment_;
  const RunContext& context_;
  Clock::time_point began_ = Clock::now();
  report::RunReport report_;
  RunEnd end_;
  Phase phase_ = Phase::pending;
  Clock::time_point phase_began_ = began_, phase_ends_ = began_;
  std::vector<const plan::Probe*> probes_;
  std::vector<ProbeWatch> watches_;      // of this phase
  std::vector<ProbeWatch> since_start_;  // of the whole run, for stop conditions
  std::vector<ActionRun> actions_;
  std::unique_ptr<Prober> prober_;
  Clock::time_point removed_{};
  Clock::time_point lease_renewed_ = began_, status_shown_{};
};

void Run::say(const std::string& text) {
  report_.events.push_back({now(), text});
  context_.observer.on_event(now(), text);
}

void Run::enter(Phase phase, Duration at_most) {
  phase_ = phase;
  phase_began_ = Clock::now();
  phase_ends_ = phase_began_ + at_most;
  const double begins = Seconds(phase_began_ - began_).count();
  if (!report_.phases.empty()) {
    report_.phases.back().end = begins;
  }
  report_.phases.push_back({phase, begins, begins});
  for (ProbeWatch& watch : watches_) {
    watch.reset();
  }
  say(fmt::format("{}", report::to_string(phase)));
  show_status_now();
}

Phase Run::phase_at(double at) const {
  const auto after = std::ranges::find_if(
      report_.phases, [at](const report::PhaseSpan& span) { return span.start > at; });
  return after == report_.phases.begin() ? phase_ : std::prev(after)->phase;
}

void Run::take_samples() {
  for (ProbeSample& sample : prober_->take()) {
    const double at = Seconds(sample.asked - began_).count();
    report::ProbeReport& probe = report_.probes[sample.probe];
    probe.points.push_back({at, phase_at(at), sample.evaluation.status, sample.evaluation.value,
                            sample.evaluation.detail});
    if (sample.asked >= phase_began_) {  // else it says nothing about this phase
      watches_[sample.probe].add(sample.evaluation, at);
    }
    ProbeWatch& watch = since_start_[sample.probe];
    watch.add(sample.evaluation, at);
    if (probe.stop_condition && watch.status() != verify::Status::ok && !ended()) {
      const std::string why = fmt::format("stop condition \"{}\": {}", probe.name, watch.detail());
      (watch.status() == verify::Status::miss ? end_.aborted : end_.inconclusive) = why;
    }
  }
}

bool Run::any_live() const {
  return std::ranges::any_of(
      actions_, [](const ActionRun& run) { return run.state == ActionRun::State::live; });
}

// This process was held up for longer than the lease: the kernel has ended the faults, and renewing
// it now would bring them back after a gap that no probe knows of.
void Run::watch_lease() {
  const auto silent = Clock::now() - lease_renewed_;
  if (any_live() && silent > context_.agent.lease_period() && !ended()) {
    (void)context_.agent.disarm_all();
    end_.aborted = fmt::format(
        "the lease was lost: this process was held up for {:.1f} s, and the kernel ended the "
        "faults",
        Seconds(silent).count());
  }
}

void Run::turn(Clock::time_point until) {
  const auto heartbeat = std::min<Clock::duration>(kHeartbeat, context_.agent.lease_period() / 10);
  const auto wait =
      std::clamp<Clock::duration>(until - Clock::now(), Clock::duration::zero(), heartbeat);
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
  watch_lease();
  if (!ended()) {
    context_.agent.renew_lease();
    lease_renewed_ = Clock::now();
  }
  if (prober_) {
    take_samples();
  }
  show_status();
}

void Run::finish_phase(Phase phase, plan::When when) {
  for (std::size_t i = 0; i < probes_.size(); ++i) {
    if (probes_[i]->when.contains(when)) {
      const ProbeWatch::Outcome outcome = watches_[i].outcome();
      report_.probes[i].outcomes.push_back({phase, outcome.status, outcome.detail});
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
    report_.actions.push_back(action_record(action, one));
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
  // What must hold before is decided before, however short the baseline; of the rest it is enough
  // to know that it can be asked.
  const auto undecided = [&] {
    for (std::size_t i = 0; i < probes_.size(); ++i) {
      const ProbeWatch& watch = watches_[i];
      if (probes_[i]->when.contains(plan::When::before) ? !watch.decided() : !watch.evaluated()) {
        return true;
      }
    }
    return false;
  };
  while (!ended() && (Clock::now() < phase_ends_ || undecided())) {
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

Clock::time_point Run::due(std::size_t index) const {
  const plan::Action& action = experiment_.method[index];
  if (action.start_after_action.empty()) {
    return phase_began_ + action.start_after;
  }
  const auto before =
      std::ranges::find(experiment_.method, action.start_after_action, &plan::Action::name);
  const ActionRun& run = actions_[static_cast<std::size_t>(before - experiment_.method.begin())];
  return run.state == ActionRun::State::done ? run.end : Clock::time_point::max();
}

bool Run::start_action(std::size_t index) {
  const plan::Action& action = experiment_.method[index];
  if (auto armed = context_.agent.arm(index); !armed) {
    end_.aborted = armed.error().message;
    return false;
  }
  lease_renewed_ = Clock::now();  // arming gives one
  actions_[index] = {ActionRun::State::live, lease_renewed_, lease_renewed_ + action.duration};
  report_.actions[index].start = now();
  say(fmt::format("action \"{}\" injected: {}", action.name, report_.actions[index].fault));
  show_status_now();
  return true;
}

// Returns whether any action is live or still to come. Those that are over are removed first, so
// that one that waits for another starts at once.
bool Run::start_due_actions() {
  const auto at = Clock::now();
  for (std::size_t i = 0; i < actions_.size(); ++i) {
    if (actions_[i].state == ActionRun::State::live && at >= actions_[i].end) {
      finish_action(i);
    }
  }
  for (std::size_t i = 0; i < actions_.size() && !ended(); ++i) {
    if (actions_[i].state == ActionRun::State::waiting && Clock::now() >= due(i) &&
        !start_action(i)) {
      break;
    }
  }
  return std::ranges::any_of(
      actions_, [](const ActionRun& run) { return run.state != ActionRun::State::done; });
}

void Run::read_counters(std::size_t index) {
  auto counters = context_.agent.counters(index);
  if (!counters) {
    return;
  }
  record_counters(*counters, experiment_.method[index].fault, report_.actions[index]);
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
        next = std::min(next, due(i));
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
  while (!ended()) {
    double latest = removed;
    bool steady = true;
    for (std::size_t i = 0; i < probes_.size(); ++i) {
      if (!report_.probes[i].stop_condition && probes_[i]->when.contains(plan::When::after)) {
        const auto since = watches_[i].steady_since();
        steady = steady && since;
        latest = std::max(latest, since.value_or(removed));
      }
    }
    if (steady) {
      if (report_.recovery_asked) {
        report_.recovery_seconds = latest - removed;
      }
      break;
    }
    if (Clock::now() >= phase_ends_) {
      break;
    }
    turn(phase_ends_);
  }
  if (!report_.recovery_asked) {
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
  if (Clock::now() - status_shown_ >= kStatusInterval) {
    show_status_now();
  }
}

void Run::show_status_now() {
  status_shown_ = Clock::now();
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
  report_.ended_at = utc_text(std::chrono::system_clock::now());
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
