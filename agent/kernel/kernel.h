// The seam between the agent and the kernel. The real one (libbpf_kernel.h) loads and attaches;
// tests put a fake here to make any step fail on demand.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/delay/delay_line.h"
#include "agent/kernel/netns.h"
#include "agent/kernel/rtnetlink.h"
#include "agent/kernel/tcp_connections.h"
#include "agent/rule_table.h"
#include "common/result.h"

namespace holdfast::agent::kernel {

// One namespace's rule table in the kernel, and the programs that read it. Loaded but attached
// nowhere at first. The object is what is injected: when it goes, so do programs, filters and
// links.
class DataPath {
 public:
  virtual ~DataPath() = default;

  // Attaches the directions that the table has rules for to these interfaces, ahead of what is
  // there where the kernel allows it. All or none. A tcx attachment takes some 10 ms (the kernel
  // waits for all CPUs); its program sees packets before that.
  virtual Result<void> attach(const std::vector<Link>& links) = 0;
  // What can't be detached stays attached(), and can be tried again.
  virtual Result<void> detach() = 0;
  virtual bool attached() const = 0;
  virtual std::size_t attached_interfaces() const = 0;
  // Interfaces of the namespace that came up since attach() and are not covered yet are attached to
  // as well.
  virtual Result<void> follow(const std::vector<Link>& links) = 0;

  // Makes rule `index` of the table live until `deadline_ns` (CLOCK_MONOTONIC), or takes it out.
  // Never fails: both are writes to mapped memory, and take effect with the next packet.
  virtual void activate(std::size_t rule, plan::Direction direction, std::uint64_t deadline_ns) = 0;
  virtual void deactivate(std::size_t rule) = 0;
  virtual void set_lease(std::uint64_t deadline_ns) = 0;
  // What rule `index` does from now on, in place: how often it hits, how large a share of the
  // flows, what the delay line does. Its kind, match and deadline stay.
  virtual void retune(std::size_t rule, const hf_rule& changed,
                      const std::optional<LineRule>& line) = 0;

  // Summed over the CPUs.
  virtual Result<hf_counters> counters(std::size_t rule) const = 0;
  // What the delay line made of the rule's packets, also after detach(). Nothing for a rule that
  // has no use for it.
  virtual DelayLine::Results delays(std::size_t) const { return {}; }
};

// How the host looks where an experiment could change it.
struct Snapshot {
  // One line per object, keyed by "what|where|which": two snapshots differ where these do.
  std::vector<std::pair<std::string, std::string>> entries;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual std::string mechanism() const = 0;  // "tcx" or "clsact"
  virtual Result<std::vector<Link>> links(const NetNamespace& netns) = 0;
  // The table's rules are installed but not live. `endpoints`: what no rule may hit.
  virtual Result<std::unique_ptr<DataPath>> load(const NetNamespace& netns, const TableImage& table,
                                                 const std::vector<hf_protected>& endpoints) = 0;
  // Closes what is chosen of the TCP connections that end in the namespace; see tcp_connections.h.
  virtual Result<std::uint64_t> close_connections(
      const NetNamespace& netns, const std::function<bool(const TcpConnection&)>& chosen) = 0;
  virtual Result<void> can_close_connections(const NetNamespace& netns) = 0;
  virtual Result<Snapshot> snapshot(const NetNamespace& netns) = 0;
};

}  // namespace holdfast::agent::kernel
