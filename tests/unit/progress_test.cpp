// What a run shows while it goes on.
#include "cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace holdfast::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using verify::Status;

RunStatus status_of(Status probe) {
  RunStatus status;
  status.phase = report::Phase::injecting;
  status.left = 12;
  status.probes = {{"sells", ">= 0.99", {probe, 0.5, "0.5"}, true}, {"later", ">= 1", {}, false}};
  status.actions = {{"cut", true, 7, {.matched_packets = 3, .dropped_packets = 2}}};
  return status;
}

std::ptrdiff_t lines(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n');
}

TEST(Progress, PlainLinesSayOnlyWhatChanged) {
  std::ostringstream out;
  Progress progress(out, false);
  progress.on_event(1.25, "injecting");
  EXPECT_THAT(out.str(), HasSubstr("1.2 s  injecting\n"));
  progress.on_status(status_of(Status::ok));
  EXPECT_EQ(lines(out.str()), 2);
  progress.on_status(status_of(Status::ok));
  EXPECT_EQ(lines(out.str()), 2) << "nothing changed";
  progress.on_status(status_of(Status::miss));
  EXPECT_EQ(lines(out.str()), 3);
  EXPECT_THAT(out.str(), HasSubstr("miss     sells = 0.5 (wanted >= 0.99)"));
  EXPECT_THAT(out.str(), Not(HasSubstr("later"))) << "nothing is known of it";
  EXPECT_THAT(out.str(), Not(HasSubstr("\033")));
}

TEST(Progress, OnATerminalTheBlockIsRedrawn) {
  std::ostringstream out;
  Progress progress(out, true);
  progress.on_status(status_of(Status::ok));
  const std::string block = out.str();
  EXPECT_EQ(lines(block), 4);
  for (const char* words : {"injecting", "12 s left", "sells = 0.5 (wanted >= 0.99)", "later",
                            "7 s", "cut: 3 matched, 2 dropped"}) {
    EXPECT_THAT(block, HasSubstr(words));
  }
  out.str("");
  progress.on_status(status_of(Status::ok));
  EXPECT_EQ(out.str(), "\033[4A\033[J" + block) << "as many lines up as there are";
  out.str("");
  progress.on_event(2, "removed");
  EXPECT_THAT(out.str(), testing::StartsWith("\033[4A\033[J"));
  out.str("");
  progress.on_event(3, "recovering");
  EXPECT_THAT(out.str(), Not(HasSubstr("\033"))) << "the block is gone, the event stays";
}

TEST(Progress, NamesNeitherSteerTheTerminalNorMakeLines) {
  for (const bool terminal : {false, true}) {
    std::ostringstream out;
    Progress progress(out, terminal);
    RunStatus status = status_of(Status::ok);
    status.probes[0].name = status.probes[1].name = status.actions[0].name =
        "x\n\033[2J\xc2\x9b"
        "1m\007";
    progress.on_status(status);
    progress.on_event(1, "action \"x\n\033[2J\" injected");
    EXPECT_EQ(lines(out.str()), terminal ? 5 : 2);
    EXPECT_THAT(out.str(), Not(HasSubstr("\033[2J")));
    EXPECT_THAT(out.str(), Not(HasSubstr("\xc2\x9b")));
  }
}

}  // namespace
}  // namespace holdfast::cli
