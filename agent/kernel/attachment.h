// One program on one interface and direction. The object is the attachment: when it goes, the
// program is off.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "agent/kernel/netns.h"
#include "bpf/holdfast_abi.h"
#include "common/result.h"

namespace holdfast::agent::kernel {

// Ours among cls_bpf filters: this handle ("HF"), and a program whose name begins with
// kProgramPrefix.
inline constexpr std::uint32_t kFilterHandle = 0x4846;
inline constexpr const char* kProgramPrefix = "hf_";

class Attachment {
 public:
  virtual ~Attachment() = default;
  // Takes the program off. The destructor does it too, but can't say that it failed.
  virtual Result<void> revert() = 0;
};

// A tcx link, at the head of the chain (Linux 6.6). Goes with the process by itself. The calling
// thread must be in the interface's namespace. Errors: unsupported (no tcx), not_found (no such
// interface).
Result<std::unique_ptr<Attachment>> attach_tcx(int program_fd, std::uint32_t ifindex,
                                               hf_direction direction);

// A filter of ours on the clsact qdisc, which is made where it is missing and removed again if it
// was made here and is empty. Stays when the process is killed: the caller journals it first.
// `netns` must outlive the attachment.
Result<std::unique_ptr<Attachment>> attach_clsact(const NetNamespace& netns, int program_fd,
                                                  std::uint32_t ifindex, hf_direction direction);

// Removes our filters from an interface of the calling thread's namespace, whoever left them; with
// `remove_qdisc` also a clsact that is empty then. Other people's filters are never touched.
Result<void> sweep_clsact(std::uint32_t ifindex, bool remove_qdisc);

// Whether the interface has a clsact qdisc now (calling thread's namespace).
Result<bool> has_clsact(std::uint32_t ifindex);

}  // namespace holdfast::agent::kernel
