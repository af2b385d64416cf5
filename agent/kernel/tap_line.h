// The delay line of one network namespace, in place: its TAP, the program that takes packets back
// from it, and the thread between.
#pragma once

#include <memory>

#include "agent/delay/delay_line.h"
#include "agent/kernel/attachment.h"
#include "agent/kernel/netns.h"
#include "agent/kernel/rule_maps.h"

namespace holdfast::agent::kernel {

class TapLine {
 public:
  // From now on packets may be handed over. `maps` outlives the line. Errors as make_tap().
  static Result<std::unique_ptr<TapLine>> start(const NetNamespace& netns, bool use_tcx,
                                                RuleMaps& maps, const LineRules& rules);
  // What is in the line leaves at once; then the TAP goes.
  ~TapLine();

  DelayLine& line() { return *line_; }
  const DelayLine& line() const { return *line_; }

 private:
  explicit TapLine(RuleMaps& maps) : maps_(maps) {}
  RuleMaps& maps_;
  std::unique_ptr<Attachment> attachment_;
  std::unique_ptr<DelayLine> line_;
};

}  // namespace holdfast::agent::kernel
