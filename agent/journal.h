// What a run is about to do to the host, written down before it is done, so that whoever comes
// after a killed agent can undo it. One file for each run in the journal directory; its owner holds
// a lock on it for as long as it lives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/unique_fd.h"

namespace holdfast::agent {

inline constexpr const char* kJournalDirectory = "/run/holdfast";

// A clsact filter pair of ours, which the kernel keeps when its process is killed. tcx links need
// no entry.
struct JournalEntry {
  std::uint64_t netns = 0;  // inode
  std::uint32_t ifindex = 0;
  std::string interface;    // its name, for messages
  bool made_qdisc = false;  // the clsact qdisc was not there before
};

class Journal {
 public:
  // Makes `<directory>/<run id>.journal`, locked. Errors: conflict (a run of this id is active),
  // io, permission.
  static Result<Journal> open(const std::filesystem::path& directory, const std::string& run_id);
  Journal(Journal&&) noexcept = default;
  Journal& operator=(Journal&&) = delete;
  ~Journal();

  // Claims a namespace for this run, so that no two runs change one namespace at a time: each would
  // find the other's programs when it compares the host with its snapshot. Errors: conflict (who
  // has it).
  Result<void> claim(std::uint64_t netns, const std::string& label);
  // In the file before it returns: outlives this process, though not a crash of the node, which
  // takes the filters with it.
  Result<void> record(const JournalEntry& entry);
  // Everything was undone: the file goes with the object.
  void settle() { settled_ = true; }
  // Something is about to be done again: from now on it stays, until it is settled anew.
  void unsettle() { settled_ = false; }
  const std::filesystem::path& path() const { return path_; }

 private:
  struct Claim {
    std::filesystem::path path;
    UniqueFd lock;
  };

  Journal(std::filesystem::path path, std::string run_id, UniqueFd fd)
      : path_(std::move(path)), run_id_(std::move(run_id)), fd_(std::move(fd)) {}

  std::filesystem::path path_;
  std::string run_id_;
  UniqueFd fd_;
  std::vector<Claim> claims_;
  bool settled_ = false;
};

// Undoes what runs left behind whose process is gone. Says in one line each what was removed. Live
// runs are left alone.
Result<std::vector<std::string>> recover(const std::filesystem::path& directory);

}  // namespace holdfast::agent
