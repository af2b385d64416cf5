#include "agent/node_agent.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <mutex>
#include <optional>
#include <set>

#include "agent/action_rule.h"
#include "agent/closing.h"
#include "agent/fault/fault.h"
#include "agent/kernel/snapshot.h"
#include "agent/protect.h"
#include "agent/reaper.h"
#include "agent/target/target.h"

namespace holdfast::agent {
namespace {

// One network namespace that some action is aimed at.
struct Site {
  kernel::NetNamespace netns;
  std::vector<kernel::Link> links;
  bool whole_namespace = false;
  std::vector<RuleSpec> rules;
  std::vector<hf_protected> endpoints;  // that are protected there
  std::unique_ptr<kernel::DataPath> path;
  std::optional<kernel::Snapshot> before;
  int live_actions = 0;
  std::set<std::uint32_t> journalled;  // interfaces that the journal has
  bool told_uncovered = false;         // one warning is enough
};

struct Placed {
  plan::Action action;
  std::size_t site = 0;
  std::size_t rule = 0;
  bool live = false;
  std::uint64_t armed_ns = 0;  // CLOCK_MONOTONIC
  std::size_t step = 0;        // of the schedule that the kernel has
  bool closes = false;         // connections that match, when it begins
  std::uint64_t closed = 0;    // of them, so far
};

std::uint64_t monotonic_ns() {
  // On Linux the steady clock is CLOCK_MONOTONIC, which is what the program compares with.
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

void add_links(std::vector<kernel::Link>& into, const std::vector<kernel::Link>& from) {
  for (const kernel::Link& link : from) {
    if (std::none_of(into.begin(), into.end(),
                     [&](const kernel::Link& other) { return other.ifindex == link.ifindex; })) {
      into.push_back(link);
    }
  }
}

class NodeAgent : public Agent {
 public:
  NodeAgent(std::unique_ptr<kernel::Kernel> kernel, NodeAgentOptions options)
      : kernel_(std::move(kernel)), options_(std::move(options)) {}
  ~NodeAgent() override {
    auto removed = NodeAgent::disarm_all();
    if (!removed) {
      spdlog::error("{}", removed.error().message);
    }
  }

  Result<std::vector<PreparedAction>> prepare(const plan::Experiment& experiment,
                                              const std::vector<ProtectedPeer>& peers) override;
  Result<void> snapshot_host() override;
  Result<void> arm(std::size_t index) override;
  Result<void> disarm(std::size_t index) override;
  Result<void> disarm_all() override;
  void renew_lease() override;
  Duration lease_period() const override { return options_.lease; }
  Result<Counters> counters(std::size_t index) const override;
  std::size_t attached_interfaces() const override;
  Result<std::vector<HostDifference>> compare_host() override;

 private:
  Result<PreparedAction> place(const plan::Action& action,
                               const std::vector<ProtectedEndpoint>& endpoints);
  Site& site_of(ResolvedTarget& target);
  Result<void> attach(Site& site);
  Result<void> close_connections(Placed& placed);
  Result<void> journal_filters(Site& site, const std::vector<kernel::Link>& links);
  Result<void> disarm_locked(std::size_t index);
  static Result<void> detach_if_idle(Site& site);
  void follow_new_links(Site& site);
  void retune(Placed& placed, std::uint64_t now_ns);

  mutable std::mutex mutex_;
  std::unique_ptr<kernel::Kernel> kernel_;
  NodeAgentOptions options_;
  std::deque<Site> sites_;  // stays where it is: data paths refer to its namespaces
  std::vector<Placed> placed_;
  std::optional<Journal> journal_;
  std::optional<Reaper> reaper_;
  std::chrono::steady_clock::time_point links_read_{};
};

Site& NodeAgent::site_of(ResolvedTarget& target) {
  const auto known = std::find_if(sites_.begin(), sites_.end(), [&](const Site& site) {
    return site.netns.inode() == target.netns.inode();
  });
  if (known != sites_.end()) {
    return *known;
  }
  sites_.push_back({.netns = std::move(target.netns),
                    .links = {},
                    .whole_namespace = false,
                    .rules = {},
                    .endpoints = {},
                    .path = {},
                    .before = {},
                    .live_actions = 0,
                    .journalled = {},
                    .told_uncovered = false});
  return sites_.back();
}

Result<PreparedAction> NodeAgent::place(const plan::Action& action,
                                        const std::vector<ProtectedEndpoint>& endpoints) {
  auto target = resolve_target(action.target, *kernel_);
  if (!target) {
    return std::unexpected(target.error());
  }
  PreparedAction prepared{.name = action.name,
                          .target = target->description,
                          .interfaces = {},
                          .mechanism = kernel_->mechanism(),
                          .rules = {},
                          .notes = target->notes};
  const CompiledFault fault = compile_fault(action);
  RuleSpec rule{.action = action.name,
                .match = action.match,
                .interfaces = {},
                .names = fault.names,
                .line = fault.line,
                .rule = fault.rule};
  if (auto resolved = resolve_hosts(rule.match, prepared.notes); !resolved) {
    return std::unexpected(resolved.error());
  }
  const std::uint64_t inode = target->netns.inode();
  const auto overlap = find_overlap(rule, endpoints, inode);
  if (overlap && overlap->certain && !action.spare_protected) {
    return fail(ErrorKind::conflict,
                fmt::format("its match covers {}, which is protected", overlap->endpoint->why),
                "narrow `match` (addresses, ports), or write `protected: spare` into the action: "
                "protected traffic then "
                "passes while the rest is hit");
  }
  if (overlap) {
    prepared.notes.push_back(
        fmt::format("{} is covered by the match and spared", overlap->endpoint->why));
  }
  if (rule.line) {
    if (auto checked = check_line(*target, prepared.notes); !checked) {
      return std::unexpected(checked.error());
    }
  }
  if (fault.closes) {
    if (auto can = kernel_->can_close_connections(target->netns); !can) {
      return std::unexpected(can.error());
    }
    prepared.notes.emplace_back(
        rule.match.flows < 1
            ? "connections that are idle are not closed: which ones belong to a share is not known"
            : "connections that match and end in the target are closed when the action begins");
  }
  Site& site = site_of(*target);
  for (const kernel::Link& link : target->links) {
    prepared.interfaces.push_back(link.name);
    if (!target->whole_namespace) {
      rule.interfaces.push_back(link.ifindex);
    }
  }
  add_links(site.links, target->links);
  site.whole_namespace = site.whole_namespace || target->whole_namespace;
  prepared.rules = describe_rule(rule, action);
  placed_.push_back({.action = action,
                     .site = 0,
                     .rule = site.rules.size(),
                     .live = false,
                     .armed_ns = 0,
                     .step = 0,
                     .closes = fault.closes,
                     .closed = 0});
  placed_.back().site = static_cast<std::size_t>(
      std::find_if(sites_.begin(), sites_.end(), [&](const Site& one) { return &one == &site; }) -
      sites_.begin());
  site.rules.push_back(std::move(rule));
  return prepared;
}

Result<std::vector<PreparedAction>> NodeAgent::prepare(const plan::Experiment& experiment,
                                                       const std::vector<ProtectedPeer>& peers) {
  const std::lock_guard lock(mutex_);
  if (!placed_.empty()) {
    return fail(ErrorKind::internal, "prepare() was called twice");
  }
  auto here = kernel::NetNamespace::current();
  if (!here) {
    return std::unexpected(here.error());
  }
  std::vector<ProtectedPeer> all = peers;
  all.insert(all.end(), options_.protect.begin(), options_.protect.end());
  auto endpoints = protected_endpoints(all, here->inode());
  if (!endpoints) {
    return std::unexpected(endpoints.error());
  }
  std::vector<PreparedAction> prepared;
  for (const plan::Action& action : experiment.method) {
    auto placed = place(action, *endpoints);
    if (!placed) {
      Error error = placed.error().with_context(
          fmt::format("{}:{}: action \"{}\"", action.where.file, action.where.line, action.name));
      return std::unexpected(std::move(error));
    }
    prepared.push_back(std::move(*placed));
  }
  for (Site& site : sites_) {
    auto table = build_table(site.rules);
    if (!table) {
      return std::unexpected(table.error());
    }
    site.endpoints = for_namespace(*endpoints, site.netns.inode());
    auto path = kernel_->load(site.netns, *table, site.endpoints);
    if (!path) {
      return std::unexpected(path.error());
    }
    site.path = std::move(*path);
  }
  return prepared;
}

Result<void> NodeAgent::snapshot_host() {
  const std::lock_guard lock(mutex_);
  auto journal = Journal::open(options_.journal_directory, options_.run_id);
  if (!journal) {
    return std::unexpected(journal.error());
  }
  journal_.emplace(std::move(*journal));
  for (Site& site : sites_) {
    if (auto claimed = journal_->claim(site.netns.inode(), site.netns.label()); !claimed) {
      journal_->settle();
      return claimed;
    }
    auto taken = kernel_->snapshot(site.netns);
    if (!taken) {
      journal_->settle();
      return std::unexpected(taken.error());
    }
    site.before = std::move(*taken);
  }
  if (kernel_->mechanism() == "clsact") {
    auto reaper = Reaper::start(options_.journal_directory);
    if (!reaper) {
      return std::unexpected(reaper.error());
    }
    reaper_.emplace(std::move(*reaper));
  }
  return {};
}

Result<void> NodeAgent::journal_filters(Site& site, const std::vector<kernel::Link>& links) {
  if (kernel_->mechanism() != "clsact") {
    return {};
  }
  for (const kernel::Link& link : links) {
    if (site.journalled.contains(link.ifindex)) {
      continue;
    }
    const std::string key = fmt::format("qdisc|{} clsact ", link.name);
    const bool there =
        site.before && std::any_of(site.before->entries.begin(), site.before->entries.end(),
                                   [&](const auto& entry) { return entry.first.starts_with(key); });
    auto recorded = journal_->record({.netns = site.netns.inode(),
                                      .ifindex = link.ifindex,
                                      .interface = link.name,
                                      .made_qdisc = !there});
    if (!recorded) {
      return recorded;
    }
    site.journalled.insert(link.ifindex);
  }
  return {};
}

Result<void> NodeAgent::attach(Site& site) {
  if (site.path->attached()) {
    return {};
  }
  if (auto journaled = journal_filters(site, site.links); !journaled) {
    return journaled;
  }
  return site.path->attach(site.links);
}

Result<void> NodeAgent::close_connections(Placed& placed) {
  if (!placed.closes) {
    return {};
  }
  const Site& site = sites_[placed.site];
  const auto closed =
      kernel_->close_connections(site.netns, [&](const kernel::TcpConnection& connection) {
        return is_to_be_closed(connection, site.rules[placed.rule], site.endpoints);
      });
  if (!closed) {
    return std::unexpected(closed.error());
  }
  placed.closed += *closed;
  return {};
}

Result<void> NodeAgent::arm(std::size_t index) {
  const std::lock_guard lock(mutex_);
  if (!journal_) {
    return fail(ErrorKind::internal, "arm() before snapshot_host()");
  }
  Placed& placed = placed_.at(index);
  Site& site = sites_[placed.site];
  // What a detach that failed left is only a part of what is needed.
  if (auto clean = detach_if_idle(site); !clean) {
    return std::unexpected(
        clean.error().with_context(fmt::format("action \"{}\"", placed.action.name)));
  }
  journal_->unsettle();
  // Live before it is attached: each attachment takes some 10 ms, and the fault begins with the
  // first of them instead of after the last.
  const std::uint64_t now = monotonic_ns();
  placed.armed_ns = now;
  retune(placed, now);
  site.path->set_lease(now + static_cast<std::uint64_t>(options_.lease.count()));
  site.path->activate(placed.rule, placed.action.match.direction,
                      now + static_cast<std::uint64_t>(placed.action.duration.count()));
  auto attached = attach(site);
  if (attached) {
    attached = close_connections(placed);  // who comes back meets the fault
  }
  if (!attached) {
    site.path->deactivate(placed.rule);
    if (site.live_actions == 0) {
      site.path->set_lease(0);
    }
    return std::unexpected(
        attached.error().with_context(fmt::format("action \"{}\"", placed.action.name)));
  }
  if (!placed.live) {
    placed.live = true;
    ++site.live_actions;
  }
  return {};
}

Result<void> NodeAgent::disarm_locked(std::size_t index) {
  Placed& placed = placed_.at(index);
  if (!placed.live) {
    return {};
  }
  Site& site = sites_[placed.site];
  site.path->deactivate(placed.rule);
  placed.live = false;
  --site.live_actions;
  return detach_if_idle(site);
}

// Idle means idle: with no rule live, nothing is attached. Tried again where it failed before.
Result<void> NodeAgent::detach_if_idle(Site& site) {
  if (!site.path || site.live_actions > 0 || !site.path->attached()) {
    return {};
  }
  site.path->set_lease(0);
  return site.path->detach();
}

Result<void> NodeAgent::disarm(std::size_t index) {
  const std::lock_guard lock(mutex_);
  return disarm_locked(index);
}

Result<void> NodeAgent::disarm_all() {
  const std::lock_guard lock(mutex_);
  // All leases first: packets flow again at once, however long the detaching takes.
  for (Site& site : sites_) {
    if (site.path) {
      site.path->set_lease(0);
    }
  }
  Result<void> first;
  const auto note = [&first](Result<void> removed) {
    if (!removed && first) {
      first = std::move(removed);
    }
  };
  for (std::size_t i = 0; i < placed_.size(); ++i) {
    note(disarm_locked(i));
  }
  for (Site& site : sites_) {
    note(detach_if_idle(site));
  }
  if (first && journal_) {
    journal_->settle();
  }
  return first;
}

void NodeAgent::follow_new_links(Site& site) {
  auto all = kernel_->links(site.netns);
  if (!all) {
    return;  // asked again with the next heartbeat
  }
  std::vector<std::string> notes;
  std::vector<kernel::Link> links = site.links;
  add_links(links, covering_links(*all, notes));
  if (links.size() == site.links.size()) {
    return;
  }
  auto followed = journal_filters(site, links);
  if (followed) {
    followed = site.path->follow(links);
  }
  if (followed) {
    site.links = std::move(links);
  } else if (!std::exchange(site.told_uncovered, true)) {  // and tried again with the next look
    spdlog::warn("an interface that appeared is not covered: {}", followed.error().message);
  }
}

// What the action's schedule says by now, where that is not in the kernel yet.
void NodeAgent::retune(Placed& placed, std::uint64_t now_ns) {
  const Duration elapsed(static_cast<Duration::rep>(now_ns - placed.armed_ns));
  const std::size_t step = placed.action.steps_until(elapsed);
  if (step == placed.step) {
    return;
  }
  placed.step = step;
  const CompiledFault changed = compile_fault(placed.action.at_step(step));
  sites_[placed.site].path->retune(placed.rule, changed.rule, changed.line);
}

void NodeAgent::renew_lease() {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  const bool look = now - links_read_ >= std::chrono::seconds(1);
  if (look) {
    links_read_ = now;
  }
  const std::uint64_t deadline =
      monotonic_ns() + static_cast<std::uint64_t>(options_.lease.count());
  for (Placed& placed : placed_) {
    if (placed.live) {
      retune(placed, monotonic_ns());
    }
  }
  for (Site& site : sites_) {
    if (site.live_actions > 0) {
      site.path->set_lease(deadline);
      if (look && site.whole_namespace) {
        follow_new_links(site);
      }
    }
  }
}

Result<Counters> NodeAgent::counters(std::size_t index) const {
  const std::lock_guard lock(mutex_);
  const Placed& placed = placed_.at(index);
  auto raw = sites_[placed.site].path->counters(placed.rule);
  if (!raw) {
    return std::unexpected(raw.error());
  }
  const plan::FaultKind fault = placed.action.fault;
  const bool by_line = sites_[placed.site].rules[placed.rule].line.has_value();
  const bool alters = fault == plan::FaultKind::duplicate || fault == plan::FaultKind::corrupt;
  const DelayLine::Results line = sites_[placed.site].path->delays(placed.rule);
  Counters counters{.matched_packets = raw->matched_packets,
                    .matched_bytes = raw->matched_bytes,
                    .dropped_packets = raw->dropped_packets + line.lost + line.dropped_packets,
                    .dropped_bytes = raw->dropped_bytes + line.dropped_bytes,
                    .answered_packets = alters ? 0 : raw->answered_packets,
                    .altered_packets = (alters ? raw->altered_packets : 0) + line.corrupted,
                    .queued_packets = line.queued,
                    .spared_packets = raw->spared_packets,
                    .closed_connections = placed.closed,
                    .bursts = by_line ? 0 : raw->bursts,
                    .undelayed_packets = by_line ? raw->undelayed_packets + line.overflowed : 0,
                    .delays = line.delays,
                    .lateness_p99 = line.lateness_p99,
                    .bits_per_second = line.bits_per_second};
  if (fault == plan::FaultKind::reorder) {
    counters.altered_packets = line.delays.packets;
  }
  return counters;
}

std::size_t NodeAgent::attached_interfaces() const {
  const std::lock_guard lock(mutex_);
  std::size_t sum = 0;
  for (const Site& site : sites_) {
    sum += site.path ? site.path->attached_interfaces() : 0;
  }
  return sum;
}

Result<std::vector<HostDifference>> NodeAgent::compare_host() {
  const std::lock_guard lock(mutex_);
  std::vector<HostDifference> differences;
  for (const Site& site : sites_) {
    if (!site.before) {
      continue;
    }
    auto after = kernel_->snapshot(site.netns);
    if (!after) {
      return std::unexpected(after.error());
    }
    for (const kernel::SnapshotDifference& one : kernel::compare(*site.before, *after)) {
      const bool ours =
          one.which.find("hf_") != std::string::npos || one.after.find("hf_") != std::string::npos;
      differences.push_back({.what = one.what,
                             .where = fmt::format("{} in {}", one.which, site.netns.label()),
                             .before = one.before,
                             .after = one.after,
                             .cure = ours ? "the next `holdfast run` removes it"
                                          : "not made by holdfast; see who changed it"});
    }
  }
  return differences;
}

}  // namespace

std::unique_ptr<Agent> make_node_agent(std::unique_ptr<kernel::Kernel> kernel,
                                       NodeAgentOptions options) {
  return std::make_unique<NodeAgent>(std::move(kernel), std::move(options));
}

}  // namespace holdfast::agent
