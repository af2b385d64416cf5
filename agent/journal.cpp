#include "agent/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "agent/kernel/attachment.h"
#include "agent/kernel/netns.h"

namespace holdfast::agent {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr mode_t kPrivate = 0600;
constexpr const char* kJournalExtension = ".journal";

// Held while files of the directory come and go: between opening a file and locking it, somebody
// else could take it for litter. Waits for whoever has it, which is never for long.
Result<UniqueFd> lock_directory(const fs::path& directory) {
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    return fail_errno("open " + directory.string(), errno);
  }
  while (::flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) {
      return fail_errno("lock " + directory.string(), errno);
    }
  }
  return fd;
}

// Opens and locks a file, in a locked directory. Empty: somebody who lives has the lock.
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
  return fd;
}

// One write: what a killed process leaves is whole lines, and at most a piece of the last one. A
// piece that a full file system took is taken back, or the next line would be glued to it.
Result<void> append(int fd, const std::string& line) {
  struct stat before{};
  if (::fstat(fd, &before) != 0) {
    return fail_errno("look at the journal", errno);
  }
  const ssize_t written = ::write(fd, line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size())) {
    const int error = written < 0 ? errno : ENOSPC;
    (void)::ftruncate(fd, before.st_size);  // if even that fails, the line is lost as before
    return fail_errno("write the journal", error);
  }
  return {};
}

std::string read_whole(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A line of a journal. Empty: it is none of an entry, or was cut short; then what it announced was
// never done.
std::optional<JournalEntry> parse_entry(const std::string& line) {
  const json item = json::parse(line, nullptr, false);
  const auto is = [&item](const char* key, auto test) {
    return item.contains(key) && (item[key].*test)();
  };
  if (!item.is_object() || !is("netns", &json::is_number_unsigned) ||
      !is("ifindex", &json::is_number_unsigned) || !is("interface", &json::is_string) ||
      !is("madeQdisc", &json::is_boolean)) {
    return std::nullopt;
  }
  return JournalEntry{.netns = item["netns"],
                      .ifindex = item["ifindex"],
                      .interface = item["interface"],
                      .made_qdisc = item["madeQdisc"]};
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
  std::ifstream journal(path);
  for (std::string line; std::getline(journal, line);) {
    if (const auto entry = parse_entry(line)) {
      auto undone = undo(*entry);
      if (!undone) {
        return std::unexpected(undone.error());
      }
      done.push_back(*undone);
    }
  }
  std::error_code error;
  fs::remove(path, error);
  return error ? fail_errno("remove " + path.string(), error.value()) : Result<void>{};
}

}  // namespace

Result<Journal> Journal::open(const fs::path& directory, const std::string& run_id) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) {
    return fail_errno("make " + directory.string(), error.value());
  }
  auto turn = lock_directory(directory);
  if (!turn) {
    return std::unexpected(turn.error());
  }
  fs::path path = directory / (run_id + kJournalExtension);
  auto fd = open_locked(path, O_CREAT | O_APPEND);
  if (!fd) {
    return std::unexpected(fd.error());
  }
  if (!*fd) {
    return fail(ErrorKind::conflict, fmt::format("run {} is active already", run_id));
  }
  Journal journal(std::move(path), run_id, std::move(*fd));
  const json head = {{"run", run_id}, {"pid", ::getpid()}};
  if (auto written = append(journal.fd_.get(), head.dump() + '\n'); !written) {
    return std::unexpected(written.error());
  }
  return journal;
}

Journal::~Journal() {
  if (!fd_) {
    return;  // moved from
  }
  const auto turn = lock_directory(path_.parent_path());
  std::error_code ignored;
  for (const Claim& claim : claims_) {
    fs::remove(claim.path, ignored);
  }
  if (settled_) {
    fs::remove(path_, ignored);
  }
}

Result<void> Journal::claim(std::uint64_t netns, const std::string& label) {
  auto turn = lock_directory(path_.parent_path());
  if (!turn) {
    return std::unexpected(turn.error());
  }
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
  const int fd = claims_.back().lock.get();
  if (::ftruncate(fd, 0) != 0) {  // whose it was before does not matter
    return fail_errno("empty " + path.string(), errno);
  }
  return append(fd, fmt::format("run {} (pid {})", run_id_, ::getpid()));
}

Result<void> Journal::record(const JournalEntry& entry) {
  const json line = {{"netns", entry.netns},
                     {"ifindex", entry.ifindex},
                     {"interface", entry.interface},
                     {"madeQdisc", entry.made_qdisc}};
  return append(fd_.get(), line.dump(-1, ' ', false, json::error_handler_t::replace) + '\n');
}

Result<std::vector<std::string>> recover(const fs::path& directory) {
  std::vector<std::string> done;
  std::error_code error;
  if (!fs::exists(directory, error)) {
    return done;  // no run was ever here
  }
  auto turn = lock_directory(directory);
  if (!turn) {
    return std::unexpected(turn.error());
  }
  // Goes on after a failure: one run that can't be undone does not keep the others from it.
  Result<void> first;
  for (const auto& file : fs::directory_iterator(directory, error)) {
    if (file.path().extension() == kJournalExtension) {
      if (auto recovered = recover_one(file.path(), done); !recovered && first) {
        first = std::move(recovered);
      }
    } else if (file.path().extension() == ".lock") {
      // A lock that nobody holds is litter.
      if (auto lock = open_locked(file.path(), 0); lock && *lock) {
        fs::remove(file.path(), error);
      }
    }
  }
  if (!first) {
    return std::unexpected(first.error());
  }
  return done;
}

}  // namespace holdfast::agent
