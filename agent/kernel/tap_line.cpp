#include "agent/kernel/tap_line.h"

#include <random>

#include "agent/kernel/tap.h"

namespace holdfast::agent::kernel {

Result<std::unique_ptr<TapLine>> TapLine::start(const NetNamespace& netns, bool use_tcx,
                                                RuleMaps& maps, const LineRules& rules) {
  std::unique_ptr<TapLine> started(new TapLine(maps));
  auto done = netns.run([&]() -> Result<void> {
    auto tap = make_tap();
    if (!tap) {
      return std::unexpected(tap.error());
    }
    auto attachment = use_tcx
                          ? attach_tcx(maps.delayed_program_fd(), tap->ifindex, HF_FROM)
                          : attach_clsact(netns, maps.delayed_program_fd(), tap->ifindex, HF_FROM);
    if (!attachment) {
      return std::unexpected(attachment.error().with_context("interface " + tap->name));
    }
    started->attachment_ = std::move(*attachment);
    auto line = DelayLine::start({.tap = std::move(tap->fd),
                                  .rules = rules,
                                  .beat = [&maps](auto ns) { maps.set_line_deadline(ns); },
                                  .seed = std::random_device()()});
    if (!line) {
      return std::unexpected(line.error());
    }
    started->line_ = std::move(*line);
    maps.set_line(tap->ifindex);
    return {};
  });
  if (!done) {
    return std::unexpected(done.error());
  }
  return started;
}

TapLine::~TapLine() {
  maps_.set_line(0);
  maps_.set_line_deadline(0);
  line_.reset();  // before the program that takes back what it lets go
}

}  // namespace holdfast::agent::kernel
