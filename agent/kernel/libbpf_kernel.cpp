#include "agent/kernel/libbpf_kernel.h"

#include <fmt/format.h>
#include <net/if_arp.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <set>

#include "agent/kernel/attachment.h"
#include "agent/kernel/rule_maps.h"
#include "agent/kernel/snapshot.h"
#include "agent/kernel/tap.h"
#include "agent/kernel/tap_line.h"

namespace holdfast::agent::kernel {
namespace {

class LibbpfDataPath : public DataPath {
 public:
  LibbpfDataPath(const NetNamespace& netns, bool use_tcx, const TableImage& table,
                 std::unique_ptr<RuleMaps> maps)
      : netns_(netns),
        use_tcx_(use_tcx),
        directions_(table.directions),
        line_rules_(table.line),
        maps_(std::move(maps)) {}

  Result<void> attach(const std::vector<Link>& links) override {
    auto result = follow(links);
    if (!result) {
      (void)detach();
    }
    return result;
  }

  Result<void> follow(const std::vector<Link>& given) override {
    if (auto started = start_line(); !started) {
      return started;
    }
    // Where peers are comes first: each attachment takes its time.
    std::vector<Link> links = given;
    std::stable_partition(links.begin(), links.end(),
                          [](const Link& link) { return link.hardware_type != ARPHRD_LOOPBACK; });
    return netns_.run([&]() -> Result<void> {
      for (const Link& link : links) {
        if (covered_.contains(link.ifindex)) {
          continue;
        }
        // Both directions or none: the first one alone would be attached twice by the next try.
        std::vector<Attached> of_link;
        for (const hf_direction direction : {HF_TO, HF_FROM}) {
          if (!directions_[direction]) {
            continue;
          }
          const int program = maps_->program_fd(direction, link.has_ethernet());
          auto attachment = use_tcx_ ? attach_tcx(program, link.ifindex, direction)
                                     : attach_clsact(netns_, program, link.ifindex, direction);
          if (!attachment) {
            std::erase_if(of_link,
                          [](const auto& one) { return one.attachment->revert().has_value(); });
            std::ranges::move(of_link, std::back_inserter(attachments_));  // detach() tries again
            return std::unexpected(attachment.error().with_context(
                fmt::format("interface {} in {}", link.name, netns_.label())));
          }
          of_link.push_back({link.ifindex, std::move(*attachment)});
        }
        std::ranges::move(of_link, std::back_inserter(attachments_));
        covered_.insert(link.ifindex);
      }
      return {};
    });
  }

  // Goes on after a failure, so that one interface that can't be cleaned does not keep the others
  // dirty.
  Result<void> detach() override {
    Result<void> first;
    std::erase_if(attachments_, [&first](const Attached& one) {
      auto reverted = one.attachment->revert();
      const bool gone = reverted.has_value();
      if (!gone && first) {
        first = std::move(reverted);
      }
      return gone;
    });
    covered_.clear();
    if (line_) {
      line_->line().finish();
      for (const auto& [rule, params] : line_rules_) {
        last_results_[rule] = delays(rule);
      }
      line_.reset();
    }
    return first;
  }

  bool attached() const override { return !attachments_.empty(); }
  std::size_t attached_interfaces() const override {
    std::set<std::uint32_t> interfaces;
    for (const Attached& one : attachments_) {
      interfaces.insert(one.ifindex);
    }
    return interfaces.size();
  }
  void activate(std::size_t rule, plan::Direction direction, std::uint64_t deadline_ns) override {
    if (line_rules_.contains(rule)) {
      line_ends_[rule] = deadline_ns;
      if (line_) {
        line_->line().begin(rule, deadline_ns);
      }
    }
    maps_->activate(rule, direction, deadline_ns);
  }
  void deactivate(std::size_t rule) override {
    maps_->deactivate(rule);
    if (line_ && line_ends_.erase(rule) > 0) {
      line_->line().end(rule);
    }
  }
  void retune(std::size_t rule, const hf_rule& changed,
              const std::optional<LineRule>& line) override {
    maps_->retune(rule, changed);
    if (line && line_rules_.contains(rule)) {
      line_rules_.at(rule) = *line;
      if (line_) {
        line_->line().retune(rule, *line);
      }
    }
  }
  void set_lease(std::uint64_t deadline_ns) override { maps_->set_lease(deadline_ns); }
  Result<hf_counters> counters(std::size_t rule) const override { return maps_->counters(rule); }
  DelayLine::Results delays(std::size_t rule) const override {
    if (!line_rules_.contains(rule)) {
      return {};
    }
    const DelayLine::Results now = line_ ? line_->line().results(rule) : DelayLine::Results{};
    const auto last = last_results_.find(rule);
    return now.delays.packets == 0 && last != last_results_.end() ? last->second : now;
  }

 private:
  Result<void> start_line() {
    if (line_rules_.empty() || line_) {
      return {};
    }
    auto line = TapLine::start(netns_, use_tcx_, *maps_, line_rules_);
    if (!line) {
      return std::unexpected(line.error());
    }
    line_ = std::move(*line);
    for (const auto& [rule, deadline_ns] : line_ends_) {
      line_->line().begin(rule, deadline_ns);
    }
    return {};
  }

  struct Attached {
    std::uint32_t ifindex;
    std::unique_ptr<Attachment> attachment;
  };
  const NetNamespace& netns_;
  bool use_tcx_;
  std::array<bool, HF_DIRECTIONS> directions_;
  LineRules line_rules_;
  std::unique_ptr<RuleMaps> maps_;
  std::unique_ptr<TapLine> line_;
  std::map<std::size_t, std::uint64_t> line_ends_;          // of the rules that are active
  std::map<std::size_t, DelayLine::Results> last_results_;  // of a line that is gone
  std::vector<Attached> attachments_;
  std::set<std::uint32_t> covered_;
};

class LibbpfKernel : public Kernel {
 public:
  explicit LibbpfKernel(std::string mechanism) : mechanism_(std::move(mechanism)) {}
  std::string mechanism() const override { return mechanism_; }

  Result<std::vector<Link>> links(const NetNamespace& netns) override {
    std::vector<Link> found;
    auto result = netns.run([&]() -> Result<void> {
      auto listed = list_links();
      if (!listed) {
        return std::unexpected(listed.error());
      }
      found = std::move(*listed);
      return {};
    });
    if (!result) {
      return std::unexpected(result.error());
    }
    return found;
  }

  Result<std::unique_ptr<DataPath>> load(const NetNamespace& netns, const TableImage& table,
                                         const std::vector<hf_protected>& endpoints) override {
    if (!table.line.empty()) {
      if (auto there = check_tun_driver(); !there) {
        return std::unexpected(there.error());
      }
    }
    auto maps = RuleMaps::load(table, endpoints);
    if (!maps) {
      return std::unexpected(maps.error());
    }
    return std::make_unique<LibbpfDataPath>(netns, mechanism_ == "tcx", table, std::move(*maps));
  }

  Result<std::uint64_t> close_connections(
      const NetNamespace& netns, const std::function<bool(const TcpConnection&)>& chosen) override {
    std::uint64_t closed = 0;
    auto done = netns.run([&]() -> Result<void> {
      auto result = close_tcp_connections(chosen);
      if (!result) {
        return std::unexpected(result.error());
      }
      closed = *result;
      return {};
    });
    return done ? Result<std::uint64_t>(closed) : std::unexpected(done.error());
  }
  Result<void> can_close_connections(const NetNamespace& netns) override {
    return netns.run(can_close_tcp_connections);
  }

  Result<Snapshot> snapshot(const NetNamespace& netns) override {
    Snapshot taken;
    auto result = netns.run([&]() -> Result<void> {
      auto snapshot = take_snapshot();
      if (!snapshot) {
        return std::unexpected(snapshot.error());
      }
      taken = std::move(*snapshot);
      return {};
    });
    if (!result) {
      return std::unexpected(result.error());
    }
    return taken;
  }

 private:
  std::string mechanism_;
};

}  // namespace

std::unique_ptr<Kernel> make_libbpf_kernel(std::string mechanism) {
  return std::make_unique<LibbpfKernel>(std::move(mechanism));
}

}  // namespace holdfast::agent::kernel
