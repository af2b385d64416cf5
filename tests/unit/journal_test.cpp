#include "agent/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

namespace holdfast::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Nothing has this inode: what is journalled about it is gone with its namespace.
constexpr std::uint64_t kNoNetns = 1;

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() {
    std::string pattern = fs::temp_directory_path() / "journal-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~JournalTest() override { fs::remove_all(directory_); }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& file : fs::directory_iterator(directory_)) {
      names.push_back(file.path().filename());
    }
    return names;
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name) << text;
  }

  fs::path directory_;
};

TEST_F(JournalTest, IsMadeWithItsDirectory) {
  const auto journal = Journal::open(directory_ / "deep" / "er", "r1");
  ASSERT_TRUE(journal) << journal.error().message;
  EXPECT_TRUE(fs::exists(directory_ / "deep" / "er" / "r1.journal"));
}

TEST_F(JournalTest, WhatIsRecordedIsOnDiskAtOnce) {
  auto journal = Journal::open(directory_, "r1");
  ASSERT_TRUE(journal);
  ASSERT_TRUE(
      journal->record({.netns = 42, .ifindex = 7, .interface = "eth\"0", .made_qdisc = true}));
  std::ifstream file(journal->path());
  std::string head, line;
  ASSERT_TRUE(std::getline(file, head) && std::getline(file, line));
  EXPECT_EQ(nlohmann::json::parse(head)["run"], "r1");
  EXPECT_EQ(nlohmann::json::parse(head)["pid"], ::getpid());
  const auto entry = nlohmann::json::parse(line);
  EXPECT_EQ(entry["netns"], 42);
  EXPECT_EQ(entry["ifindex"], 7);
  EXPECT_EQ(entry["interface"], "eth\"0");
  EXPECT_EQ(entry["madeQdisc"], true);
}

TEST_F(JournalTest, TwoRunsOfOneIdConflict) {
  const auto first = Journal::open(directory_, "r1");
  ASSERT_TRUE(first);
  const auto second = Journal::open(directory_, "r1");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::conflict);
}

TEST_F(JournalTest, ClaimsNameTheirHolder) {
  auto first = Journal::open(directory_, "first");
  auto second = Journal::open(directory_, "second");
  ASSERT_TRUE(first && second);
  ASSERT_TRUE(first->claim(kNoNetns, "network namespace edge"));
  const auto refused = second->claim(kNoNetns, "network namespace edge");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  EXPECT_THAT(refused.error().message, HasSubstr("network namespace edge"));
  EXPECT_THAT(refused.error().message, HasSubstr("run first"));
  EXPECT_TRUE(second->claim(kNoNetns + 1, "another"));
}

TEST_F(JournalTest, SettledRunsLeaveNothing) {
  {
    auto journal = Journal::open(directory_, "r1");
    ASSERT_TRUE(journal && journal->claim(kNoNetns, "edge"));
    journal->settle();
    EXPECT_THAT(files(), SizeIs(2));
  }
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(JournalTest, UnsettledRunsLeaveTheirJournalForTheNextOne) {
  {
    auto journal = Journal::open(directory_, "r1");
    ASSERT_TRUE(journal && journal->record({.netns = kNoNetns, .interface = "eth0"}));
  }
  EXPECT_EQ(files(), std::vector<std::string>{"r1.journal"});
  const auto recovered = recover(directory_);
  ASSERT_TRUE(recovered) << recovered.error().message;
  ASSERT_THAT(*recovered, SizeIs(1));
  EXPECT_THAT(recovered->front(), HasSubstr("eth0"));
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(JournalTest, LiveRunsAreLeftAlone) {
  auto journal = Journal::open(directory_, "r1");
  ASSERT_TRUE(journal && journal->claim(kNoNetns, "edge") &&
              journal->record({.netns = kNoNetns, .interface = "eth0"}));
  const auto recovered = recover(directory_);
  ASSERT_TRUE(recovered);
  EXPECT_THAT(*recovered, IsEmpty());
  EXPECT_THAT(files(), SizeIs(2));
}

TEST_F(JournalTest, WhatIsNoEntryIsPassedOver) {
  for (const char* text : {"", "{", "[]", "null", "5", "{}", R"({"netns": "x", "ifindex": 1})",
                           R"({"netns": 1, "ifindex": -1, "interface": "eth0", "madeQdisc": true})",
                           R"({"netns": 1, "ifindex": 1, "interface": "eth0"})"}) {
    write("r1.journal", text);
    const auto recovered = recover(directory_);
    ASSERT_TRUE(recovered) << text;
    EXPECT_THAT(*recovered, IsEmpty()) << text;
    EXPECT_THAT(files(), IsEmpty()) << text;
  }
  write("netns-1.lock", "run r1 (pid 1)");
  write("README", "not ours");
  ASSERT_TRUE(recover(directory_));
  EXPECT_EQ(files(), std::vector<std::string>{"README"});
}

// Killed in the middle of a write: the whole lines before it count.
TEST_F(JournalTest, ALineCutShortDoesNotHideTheOthers) {
  const std::string entry =
      R"({"netns": 1, "ifindex": 2, "interface": "eth0", "madeQdisc": false})";
  write("r1.journal", "{\"run\": \"r1\"}\n" + entry + "\n" + entry.substr(0, 40));
  const auto recovered = recover(directory_);
  ASSERT_TRUE(recovered);
  EXPECT_THAT(*recovered, SizeIs(1));
}

// A full file system takes a piece of a line. The next line must not be glued to it.
TEST_F(JournalTest, ARecordThatDoesNotFitHidesNoLaterOne) {
  auto journal = Journal::open(directory_, "r1");
  ASSERT_TRUE(journal && journal->record({.netns = kNoNetns, .interface = "eth0"}));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit full = before;
  full.rlim_cur = fs::file_size(journal->path()) + 10;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  const auto refused = journal->record({.netns = kNoNetns, .interface = "eth1"});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_FALSE(refused);

  ASSERT_TRUE(journal->record({.netns = kNoNetns, .interface = "eth2"}));
  std::ifstream file(journal->path());
  std::vector<std::string> interfaces;
  for (std::string line; std::getline(file, line);) {
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(entry.is_object()) << line;
    if (entry.contains("interface")) {
      interfaces.push_back(entry["interface"]);
    }
  }
  EXPECT_EQ(interfaces, (std::vector<std::string>{"eth0", "eth2"}));
}

TEST_F(JournalTest, WithoutADirectoryThereIsNothingToRecover) {
  const auto recovered = recover(directory_ / "never");
  ASSERT_TRUE(recovered);
  EXPECT_THAT(*recovered, IsEmpty());
}

// Runs in different namespaces that start and end at the same moment: none takes another's files
// for litter, and none takes another for a holder.
TEST_F(JournalTest, ManyRunsAtOnce) {
  constexpr int kProcesses = 6, kRounds = 100;
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      for (int round = 0; round < kRounds; ++round) {
        auto journal = Journal::open(directory_, std::to_string(::getpid()));
        if (!journal || !recover(directory_) ||
            !journal->claim(static_cast<std::uint64_t>(::getpid()), "own")) {
          ::_exit(1);
        }
        journal->settle();
      }
      ::_exit(0);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
  }
  EXPECT_THAT(files(), IsEmpty());
}

}  // namespace
}  // namespace holdfast::agent
