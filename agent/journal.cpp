#include "agent/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "agent/kernel/attachment.h"
#include "agent/kernel/netns.h"

namespace holdfast::agent {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr mode_t kPrivate = 0600;

// Opens and locks a file. Empty: somebody who lives has the lock.
Result<UniqueFd> open_locked(const fs::path& path, int flags) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, kPrivate));
  if (!fd) {
    return fail_errno("open " + path.string(), errno);
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return UniqueFd();
    }
    return fail_errno("lock " + path.string(), errno);
  }
  // The file that was opened may have been removed by its owner meanwhile: a lock on that is worth
  // nothing.
  struct stat opened{}, named{};
  if (::fstat(fd.get(), &opened) != 0 || ::stat(path.c_str(), &named) != 0 ||
      opened.st_ino != named.st_ino) {
    return UniqueFd();
  }
  return fd;
}

Result<void> write_whole(int fd, const std::string& text) {
  if (::ftruncate(fd, 0) != 0 ||
      ::pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return fail_errno("write the journal", errno);
  }
  return {};
}

std::string read_whole(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Undoes one entry. An interface or namespace that is gone took the filters with it.
Result<std::string> undo(const JournalEntry& entry) {
  auto netns = kernel::NetNamespace::find(entry.netns);
  if (!netns) {
    return fmt::format("{}: gone with its network namespace", entry.interface);
  }
  auto swept = netns->run([&] { return kernel::sweep_clsact(entry.ifindex, entry.made_qdisc); });
  if (!swept && swept.error().kind != ErrorKind::not_found) {
    return std::unexpected(swept.error().with_context(entry.interface));
  }
  return fmt::format("{}: filters of a killed run removed", entry.interface);
}

Result<void> recover_one(const fs::path& path, std::vector<std::string>& done) {
  auto lock = open_locked(path, 0);
  if (!lock || !*lock) {
    return {};  // gone meanwhile, or its run lives
  }
  const json journal = json::parse(read_whole(path), nullptr, false);
  if (journal.is_object() && journal.contains("entries")) {
    for (const json& item : journal["entries"]) {
      const JournalEntry entry{.netns = item.value("netns", std::uint64_t{0}),
                               .ifindex = item.value("ifindex", std::uint32_t{0}),
                               .interface = item.value("interface", std::string("?")),
                               .made_qdisc = item.value("madeQdisc", false)};
      auto undone = undo(entry);
      if (!undone) {
        return std::unexpected(undone.error());
      }
      done.push_back(*undone);
    }
  }
  fs::remove(path);
  return {};
}

}  // namespace

Result<Journal> Journal::open(const fs::path& directory, const std::string& run_id) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) {
    return fail_errno("make " + directory.string(), error.value());
  }
  fs::path path = directory / (run_id + ".json");
  auto fd = open_locked(path, O_CREAT);
  if (!fd) {
    return std::unexpected(fd.error());
  }
  if (!*fd) {
    return fail(ErrorKind::conflict, fmt::format("run {} is active already", run_id));
  }
  Journal journal(std::move(path), run_id, std::move(*fd));
  const json empty = {{"run", run_id}, {"pid", ::getpid()}, {"entries", json::array()}};
  if (auto written = write_whole(journal.fd_.get(), empty.dump()); !written) {
    return std::unexpected(written.error());
  }
  return journal;
}

Journal::~Journal() {
  for (const Claim& claim : claims_) {
    // Under its lock, so that nobody else can have just taken it.
    std::error_code ignored;
    fs::remove(claim.path, ignored);
  }
  if (fd_ && settled_) {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
}

Result<void> Journal::claim(std::uint64_t netns, const std::string& label) {
  const fs::path path = path_.parent_path() / fmt::format("netns-{}.lock", netns);
  auto lock = open_locked(path, O_CREAT);
  if (!lock) {
    return std::unexpected(lock.error());
  }
  if (!*lock) {
    return fail(
        ErrorKind::conflict, fmt::format("{} is taken by another run: {}", label, read_whole(path)),
        "wait for it, or end it with Ctrl-C; one run at a time changes a network namespace");
  }
  claims_.push_back({path, std::move(*lock)});
  return write_whole(claims_.back().lock.get(),
                     fmt::format("run {} (pid {})", run_id_, ::getpid()));
}

Result<void> Journal::record(JournalEntry entry) {
  entries_.push_back(std::move(entry));
  json journal = {{"run", run_id_}, {"pid", ::getpid()}, {"entries", json::array()}};
  for (const JournalEntry& one : entries_) {
    journal["entries"].push_back({{"netns", one.netns},
                                  {"ifindex", one.ifindex},
                                  {"interface", one.interface},
                                  {"madeQdisc", one.made_qdisc}});
  }
  return write_whole(fd_.get(), journal.dump());
}

Result<std::vector<std::string>> recover(const fs::path& directory) {
  std::vector<std::string> done;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(directory, error)) {
    if (file.path().extension() == ".json") {
      if (auto recovered = recover_one(file.path(), done); !recovered) {
        return std::unexpected(recovered.error());
      }
    } else if (file.path().extension() == ".lock") {
      // A lock that nobody holds is litter. Removed under the lock, so that no other run can be
      // waiting on it.
      if (auto lock = open_locked(file.path(), 0); lock && *lock) {
        fs::remove(file.path(), error);
      }
    }
  }
  return done;
}

}  // namespace holdfast::agent
