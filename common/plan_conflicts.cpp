#include "common/plan_conflicts.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace holdfast::plan {
namespace {

struct Window {
  Duration start{}, end{};
  bool overlaps(const Window& other) const { return start < other.end && other.start < end; }
};

// Since the start of the injecting phase. Nothing where an action waits for one that is not there.
std::optional<Window> window_of(const std::vector<Action>& actions, const Action& action,
                                std::size_t depth = 0) {
  Duration start = action.start_after;
  if (!action.start_after_action.empty()) {
    const auto before = std::ranges::find(actions, action.start_after_action, &Action::name);
    const auto waited_for = before == actions.end() || depth > actions.size()
                                ? std::nullopt
                                : window_of(actions, *before, depth + 1);
    if (!waited_for) {
      return std::nullopt;
    }
    start = waited_for->end;
  }
  return Window{.start = start, .end = start + action.duration};
}

bool is_same_place(const Target& a, const Target& b) {
  return a.node == b.node && a.netns == b.netns && a.pid == b.pid && a.interface == b.interface;
}

bool contains(const Prefix& outer, const Prefix& inner) {
  if (outer.length > inner.length) {
    return false;
  }
  for (int bit = 0; bit < outer.length; ++bit) {
    const int shift = 7 - bit % 8;
    if (((outer.address[bit / 8] ^ inner.address[bit / 8]) >> shift & 1) != 0) {
      return false;
    }
  }
  return true;
}

bool contains(const PortRange& outer, const PortRange& inner) {
  return outer.first <= inner.first && inner.last <= outer.last;
}

// Whether the list restricts nothing, or admits whatever the other does.
template <class Entry>
bool admits_all(const std::vector<Entry>& outer, const std::vector<Entry>& inner) {
  return outer.empty() || (!inner.empty() && std::ranges::all_of(inner, [&](const Entry& one) {
           return std::ranges::any_of(outer,
                                      [&](const Entry& around) { return contains(around, one); });
         }));
}

// Whether every packet that `inner` matches is matched by `outer`. Names are not addresses yet.
bool covers(const Match& outer, const Match& inner) {
  const bool anywhere = outer.addresses.empty() && outer.hosts.empty();
  return (anywhere ||
          (outer.hosts == inner.hosts && outer.addresses.empty() == inner.addresses.empty() &&
           admits_all(outer.addresses, inner.addresses))) &&
         admits_all(outer.ports, inner.ports) && admits_all(outer.local_ports, inner.local_ports) &&
         (outer.protocol == Protocol::any || outer.protocol == inner.protocol) &&
         (outer.direction == Direction::both || outer.direction == inner.direction) &&
         outer.flows >= 1 &&
         (outer.connections == Connections::all || outer.connections == inner.connections);
}

// Whether nothing that it matches goes on, from its start to its end.
bool takes_all(const Action& action) {
  const bool steady = !action.pulse && action.schedule.empty();
  return steady && (action.fault == FaultKind::blackhole ||
                    (action.fault == FaultKind::loss && action.draw.expected_share() >= 1));
}

// Those that count what reaches them, or are asked before.
bool minds(const Action& action) {
  return action.fault != FaultKind::noop && action.fault != FaultKind::blackhole;
}

std::optional<std::string> shared_name(const DnsParams& a, const DnsParams& b) {
  for (const auto& [ours, theirs] :
       {std::pair{&a.names, &b.names}, std::pair{&a.zones, &b.zones}}) {
    for (const std::string& name : *ours) {
      if (std::ranges::find(*theirs, name) != theirs->end()) {
        return name;
      }
    }
  }
  return std::nullopt;
}

// What is wrong with `action` while `other` is live; both are in the same place at the same time.
std::optional<Conflict> conflict_of(const Action& action, const Action& other, bool is_later) {
  if (takes_all(other) && minds(action) && covers(other.match, action.match)) {
    return Conflict{
        .message = fmt::format("\"{}\" takes all of the traffic of \"{}\" while both last",
                               other.name, action.name),
        .accepted = "one after the other (startAfter), or different traffic (match)"};
  }
  if (!is_later) {
    return std::nullopt;  // each pair once
  }
  const bool same_traffic = covers(other.match, action.match) || covers(action.match, other.match);
  if (action.fault == FaultKind::blackhole && other.fault == FaultKind::blackhole &&
      action.blackhole.how != other.blackhole.how && same_traffic) {
    return Conflict{
        .message = fmt::format("\"{}\" and \"{}\" tell the same senders different things",
                               other.name, action.name),
        .accepted = "one `how` for traffic that both match"};
  }
  if (action.fault == FaultKind::dns && other.fault == FaultKind::dns &&
      action.dns.response != other.dns.response && same_traffic) {
    if (const auto name = shared_name(action.dns, other.dns)) {
      return Conflict{.message = fmt::format("\"{}\" and \"{}\" answer differently for {}",
                                             other.name, action.name, *name),
                      .accepted = "one response for a name"};
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<Conflict> find_conflicts(const std::vector<Action>& actions) {
  std::vector<std::optional<Window>> windows;
  windows.reserve(actions.size());
  for (const Action& action : actions) {
    windows.push_back(window_of(actions, action));
  }
  std::vector<Conflict> conflicts;
  for (std::size_t i = 0; i < actions.size(); ++i) {
    for (std::size_t j = 0; j < actions.size(); ++j) {
      if (i == j || !windows[i] || !windows[j] || !windows[i]->overlaps(*windows[j]) ||
          !is_same_place(actions[i].target, actions[j].target)) {
        continue;
      }
      if (auto conflict = conflict_of(actions[i], actions[j], j < i)) {
        conflict->action = i;
        conflicts.push_back(std::move(*conflict));
      }
    }
  }
  return conflicts;
}

}  // namespace holdfast::plan
