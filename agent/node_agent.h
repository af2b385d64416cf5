// The agent on a node: resolves, compiles, injects and undoes, on top of the kernel seam.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "agent/agent.h"
#include "agent/journal.h"
#include "agent/kernel/kernel.h"

namespace holdfast::agent {

struct NodeAgentOptions {
  std::string run_id;  // names the journal
  std::filesystem::path journal_directory = kJournalDirectory;
  // Without a heartbeat for this long, every fault ends in the kernel.
  Duration lease = std::chrono::seconds(2);
  std::vector<ProtectedPeer> protect;  // besides those of the plan
};

// Never null. Undoes everything when it goes. Its calls may come from any thread.
std::unique_ptr<Agent> make_node_agent(std::unique_ptr<kernel::Kernel> kernel,
                                       NodeAgentOptions options);

}  // namespace holdfast::agent
