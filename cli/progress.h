// What a run shows while it goes on: a block that is redrawn on a terminal, plain lines elsewhere.
#pragma once

#include <functional>
#include <iosfwd>
#include <map>
#include <string>

#include "controller/runner.h"

namespace holdfast::cli {

class Progress : public RunObserver {
 public:
  // How many rows the terminal has now; 0: not known.
  using Rows = std::function<int()>;

  // `rows` empty: `out` is no terminal.
  Progress(std::ostream& out, Rows rows) : out_(out), rows_(std::move(rows)) {}
  void on_event(double at, const std::string& text) override;
  void on_status(const RunStatus& status) override;

 private:
  void erase();
  void say_changes(const RunStatus& status);
  void draw(const RunStatus& status);

  std::ostream& out_;
  Rows rows_;
  int drawn_lines_ = 0;
  std::map<std::string, verify::Status> said_;  // plain lines only say what changed
};

}  // namespace holdfast::cli
