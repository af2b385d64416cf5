// What a run shows while it goes on: a block that is redrawn on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <iosfwd>
#include <map>
#include <string>

#include "controller/runner.h"

namespace holdfast::cli {

class Progress : public RunObserver {
 public:
  Progress(std::ostream& out, bool terminal) : out_(out), terminal_(terminal) {}
  void on_event(double at, const std::string& text) override;
  void on_status(const RunStatus& status) override;

 private:
  void erase();

  std::ostream& out_;
  bool terminal_;
  int drawn_lines_ = 0;
  std::map<std::string, verify::Status> said_;  // plain lines only say what changed
};

}  // namespace holdfast::cli
