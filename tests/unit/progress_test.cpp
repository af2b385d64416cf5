// What a run shows while it goes on.
#include "cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace holdfast::cli {
namespace {

using ::testing::AllOf;
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
  Progress progress(out, {});
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
  Progress progress(out, [] { return 24; });
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

TEST(Progress, WhatDoesNotFitIsLeftOutAndWhatMissesIsKept) {
  std::ostringstream out;
  Progress progress(out, [] { return 6; });
  RunStatus status = status_of(Status::ok);
  for (int i = 0; i < 30; ++i) {
    status.probes.push_back({"p" + std::to_string(i), ">= 1", {}, false});
  }
  status.probes.push_back({"last", ">= 1", {Status::miss, 0, "0"}, true});
  progress.on_status(status);
  EXPECT_EQ(lines(out.str()), 5) << "the cursor needs the sixth";
  for (const char* words : {"last = 0", "cut: 3 matched", "sells", "… and 31 more"}) {
    EXPECT_THAT(out.str(), HasSubstr(words));
  }
}

TEST(Progress, NoTimeLeftIsNotSaid) {
  std::ostringstream out;
  Progress progress(out, [] { return 24; });
  RunStatus status = status_of(Status::ok);
  status.phase = report::Phase::settled;
  status.left = 0;
  progress.on_status(status);
  EXPECT_THAT(out.str(), AllOf(HasSubstr("settled\n"), Not(HasSubstr("at most"))));
}

TEST(Progress, NamesNeitherSteerTheTerminalNorMakeLines) {
  for (const bool terminal : {false, true}) {
    std::ostringstream out;
    Progress progress(out, terminal ? Progress::Rows([] { return 24; }) : Progress::Rows());
    RunStatus status = status_of(Status::ok);
    status.probes[0].name = status.probes[1].name = status.actions[0].name =
        "x\n\033[2J\xc2\x9b"
        "1m\007\u202eladnev\u2028";
    progress.on_status(status);
    progress.on_event(1, "action \"x\n\033[2J\" injected");
    EXPECT_EQ(lines(out.str()), terminal ? 5 : 2);
    EXPECT_THAT(out.str(), Not(HasSubstr("\033[2J")));
    EXPECT_THAT(out.str(), Not(HasSubstr("\xc2\x9b")));
    EXPECT_THAT(out.str(), Not(HasSubstr("\u202e")));
    EXPECT_THAT(out.str(), Not(HasSubstr("\u2028")));
  }
}

}  // namespace
}  // namespace holdfast::cli
