#include "agent/kernel/attachment.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/pkt_sched.h>

#include <algorithm>
#include <array>

#include "agent/kernel/rtnetlink.h"
#include "common/unique_fd.h"

namespace holdfast::agent::kernel {
namespace {

// linux/bpf.h of 6.6; Debian 12's headers are 6.1's.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);
constexpr unsigned kBefore = 1U << 3;  // BPF_F_BEFORE without a reference: the head of the chain

constexpr std::array kHooks = {BPF_TC_EGRESS, BPF_TC_INGRESS};
// libbpf takes the two as flags: both together are the qdisc itself.
// NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange)
constexpr auto kBothHooks = static_cast<bpf_tc_attach_point>(BPF_TC_EGRESS | BPF_TC_INGRESS);

std::uint32_t parent_of(bpf_tc_attach_point point) {
  return TC_H_MAKE(TC_H_CLSACT, point == BPF_TC_EGRESS ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
}

class TcxAttachment : public Attachment {
 public:
  explicit TcxAttachment(UniqueFd link) : link_(std::move(link)) {}
  Result<void> revert() override {
    if (!link_) {
      return {};
    }
    // Detaching is at once; closing alone would wait for whoever else holds the link.
    const int error = bpf_link_detach(link_.get());
    link_.reset();
    if (error != 0 && error != -ENOLINK) {
      return fail_errno("detach tcx link", error);
    }
    return {};
  }
  ~TcxAttachment() override { (void)TcxAttachment::revert(); }

 private:
  UniqueFd link_;
};

bool is_ours(const Filter& filter) {
  return filter.kind == "bpf" && filter.handle == kFilterHandle &&
         filter.name.starts_with(kProgramPrefix);
}

Result<void> remove_filter(std::uint32_t ifindex, bpf_tc_attach_point point, const Filter& filter) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex), .attach_point = point);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = filter.handle, .priority = filter.priority);
  const int error = bpf_tc_detach(&hook, &options);
  if (error != 0 && error != -ENOENT) {
    return fail_errno("remove filter", error);
  }
  return {};
}

class ClsactAttachment : public Attachment {
 public:
  ClsactAttachment(const NetNamespace& netns, std::uint32_t ifindex, bool made_qdisc)
      : netns_(netns), ifindex_(ifindex), made_qdisc_(made_qdisc) {}
  Result<void> revert() override {
    if (done_) {
      return {};
    }
    auto result = netns_.run([this] { return sweep_clsact(ifindex_, made_qdisc_); });
    done_ = result.has_value() || result.error().kind == ErrorKind::not_found;
    return done_ ? Result<void>{} : result;
  }
  ~ClsactAttachment() override { (void)ClsactAttachment::revert(); }

 private:
  const NetNamespace& netns_;
  std::uint32_t ifindex_;
  bool made_qdisc_;
  bool done_ = false;
};

// The first priority whose filters are of kind bpf or that is free, so that nobody's filter of
// another kind is met.
std::uint32_t free_priority(const std::vector<Filter>& filters) {
  for (std::uint32_t priority = 1; priority < 0xffff; ++priority) {
    const bool taken = std::any_of(filters.begin(), filters.end(), [&](const Filter& filter) {
      return filter.priority == priority &&
             (filter.kind != "bpf" || filter.handle == kFilterHandle);
    });
    if (!taken) {
      return priority;
    }
  }
  return 0xffff;
}

}  // namespace

Result<std::unique_ptr<Attachment>> attach_tcx(int program_fd, std::uint32_t ifindex,
                                               hf_direction direction) {
  LIBBPF_OPTS(bpf_link_create_opts, options, .flags = kBefore);
  const int fd = bpf_link_create(program_fd, static_cast<int>(ifindex),
                                 direction == HF_TO ? kTcxEgress : kTcxIngress, &options);
  if (fd == -EINVAL) {
    return fail(ErrorKind::unsupported, "this kernel has no tcx links", "clsact is used instead");
  }
  if (fd < 0) {
    return fail_errno("attach by tcx", fd);
  }
  return std::make_unique<TcxAttachment>(UniqueFd(fd));
}

Result<bool> has_clsact(std::uint32_t ifindex) {
  auto qdiscs = list_qdiscs();
  if (!qdiscs) {
    return std::unexpected(qdiscs.error());
  }
  return std::any_of(qdiscs->begin(), qdiscs->end(), [ifindex](const Qdisc& qdisc) {
    return qdisc.ifindex == ifindex && qdisc.kind == "clsact";
  });
}

Result<std::unique_ptr<Attachment>> attach_clsact(const NetNamespace& netns, int program_fd,
                                                  std::uint32_t ifindex, hf_direction direction) {
  std::unique_ptr<Attachment> attachment;
  auto result = netns.run([&]() -> Result<void> {
    const auto point = direction == HF_TO ? BPF_TC_EGRESS : BPF_TC_INGRESS;
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex),
                .attach_point = kBothHooks);
    const int made = bpf_tc_hook_create(&hook);
    if (made != 0 && made != -EEXIST) {  // -EEXIST: a clsact is there, ours or somebody else's
      return fail_errno("make clsact qdisc", made);
    }
    auto filters = list_filters(ifindex, parent_of(point));
    if (!filters) {
      return std::unexpected(filters.error());
    }
    hook.attach_point = point;
    LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program_fd, .handle = kFilterHandle,
                .priority = free_priority(*filters));
    if (const int error = bpf_tc_attach(&hook, &options); error != 0) {
      if (made == 0) {
        (void)sweep_clsact(ifindex, true);
      }
      return fail_errno("attach to clsact", error);
    }
    attachment = std::make_unique<ClsactAttachment>(netns, ifindex, made == 0);
    return {};
  });
  if (!result) {
    return std::unexpected(result.error());
  }
  return attachment;
}

Result<void> sweep_clsact(std::uint32_t ifindex, bool remove_qdisc) {
  auto present = has_clsact(ifindex);
  if (!present) {
    return std::unexpected(present.error());
  }
  if (!*present) {
    return {};
  }
  bool foreign = false;
  for (const bpf_tc_attach_point point : kHooks) {
    auto filters = list_filters(ifindex, parent_of(point));
    if (!filters) {
      return std::unexpected(filters.error());
    }
    for (const Filter& filter : *filters) {
      if (filter.handle == 0) {
        continue;  // the head of a priority, not a filter
      }
      if (!is_ours(filter)) {
        foreign = true;
      } else if (auto removed = remove_filter(ifindex, point, filter); !removed) {
        return removed;
      }
    }
  }
  if (remove_qdisc && !foreign) {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex),
                .attach_point = kBothHooks);
    const int error = bpf_tc_hook_destroy(&hook);
    if (error != 0 && error != -ENOENT && error != -EINVAL) {
      return fail_errno("remove clsact qdisc", error);
    }
  }
  return {};
}

}  // namespace holdfast::agent::kernel
