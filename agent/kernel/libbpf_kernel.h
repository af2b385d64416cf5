// The real kernel behind the seam: libbpf for programs and maps, rtnetlink for what is there.
#pragma once

#include <memory>
#include <string>

#include "agent/kernel/kernel.h"

namespace holdfast::agent::kernel {

// `mechanism`: "tcx" or "clsact", as Features::attach_mechanism() says. Never null.
std::unique_ptr<Kernel> make_libbpf_kernel(std::string mechanism);

}  // namespace holdfast::agent::kernel
