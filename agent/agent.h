// What a controller asks of the agent on a node. The real one drives the kernel; tests use a fake.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/delay/delay_statistics.h"
#include "common/plan.h"
#include "common/result.h"

namespace holdfast::agent {

// The kernel's counters of one action, summed over its rules and interfaces.
struct Counters {
  std::uint64_t matched_packets = 0, matched_bytes = 0;
  std::uint64_t dropped_packets = 0, dropped_bytes = 0;
  std::uint64_t answered_packets = 0;
  std::uint64_t altered_packets = 0;  // duplicated, corrupted or kept back
  std::uint64_t queued_packets = 0;   // by a bandwidth, behind others
  std::uint64_t spared_packets = 0;
  std::uint64_t closed_connections = 0;  // by a reset, when it began
  std::uint64_t bursts = 0;              // of lost packets, for losses that have a memory
  std::uint64_t undelayed_packets = 0;   // meant for the delay line, which did not take them
  DelaySummary delays{};                 // that the line gave
  Duration lateness_p99{};               // 99 in 100 of those went on at most so much too late
  double bits_per_second = 0;            // that a bandwidth let pass while packets waited
};

// What an action came to on this node.
struct PreparedAction {
  std::string name;
  std::string target;                   // "network namespace edge (4026532511)"
  std::vector<std::string> interfaces;  // those that the programs will be attached to
  std::string mechanism;                // "tcx" or "clsact"
  std::vector<std::string> rules;       // in plain words, one line each
  std::vector<std::string> notes;       // resolved host names, what is spared
};

// One way in which the host differs from its snapshot.
struct HostDifference {
  std::string what, where, before, after, cure;
};

// Where the agent must not be cut off from. Addresses are resolved by the agent in the namespace
// that is named.
struct ProtectedPeer {
  std::string host;  // name or address
  std::uint16_t port = 0;
  std::string netns;  // from where it is reached; empty: the agent's own namespace
  std::string why;    // "the Prometheus of this plan"
};

class Agent {
 public:
  virtual ~Agent() = default;

  // Resolves, compiles and checks all actions; loads what will be needed; touches nothing that a
  // packet or another program could notice. Errors: not_found, conflict, unsupported, permission,
  // usage.
  virtual Result<std::vector<PreparedAction>> prepare(const plan::Experiment& experiment,
                                                      const std::vector<ProtectedPeer>& peers) = 0;
  // Records how the host looks. Called once, before the first arm().
  virtual Result<void> snapshot_host() = 0;
  // Injects action `index`; its rules end in the kernel by themselves after its duration.
  virtual Result<void> arm(std::size_t index) = 0;
  // Removes it. Safe to call twice, or when it was never armed.
  virtual Result<void> disarm(std::size_t index) = 0;
  // Removes everything. Safe at any time.
  virtual Result<void> disarm_all() = 0;
  // Renews the lease: without it every fault ends in the kernel within lease_period().
  virtual void renew_lease() = 0;
  virtual Duration lease_period() const = 0;
  virtual Result<Counters> counters(std::size_t index) const = 0;
  // How many interfaces programs are attached to at this moment, those included that disarm() could
  // not clean.
  virtual std::size_t attached_interfaces() const { return 0; }
  // Compares with snapshot_host(). Call after disarm_all().
  virtual Result<std::vector<HostDifference>> compare_host() = 0;
};

}  // namespace holdfast::agent
