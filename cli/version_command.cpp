#include "cli/version_command.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/utsname.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "holdfast_version.h"

namespace holdfast::cli {

namespace {

#ifndef HOLDFAST_BUILD_TYPE
#define HOLDFAST_BUILD_TYPE "unknown"
#endif

struct Versions {
  std::string holdfast = HOLDFAST_VERSION;
  std::string build_type = *HOLDFAST_BUILD_TYPE == '\0' ? "none" : HOLDFAST_BUILD_TYPE;
  std::string libbpf;
  std::string kernel;
  std::string machine;
};

Versions read_versions() {
  Versions versions;
  // The library that is loaded, which may be newer than the one that was built against. It says
  // "v1.1".
  versions.libbpf = fmt::format("{}.{}", libbpf_major_version(), libbpf_minor_version());
  utsname system{};
  if (::uname(&system) == 0) {
    versions.kernel = system.release;
    versions.machine = system.machine;
  }
  return versions;
}

int run(const Invocation& invocation) {
  const Versions versions = read_versions();
  if (invocation.has("json")) {
    const nlohmann::ordered_json document{{"holdfast", versions.holdfast},
                                          {"build_type", versions.build_type},
                                          {"libbpf", versions.libbpf},
                                          {"kernel", versions.kernel},
                                          {"machine", versions.machine}};
    invocation.console.out << document.dump(2) << '\n';
    return kExitOk;
  }
  invocation.console.out << fmt::format("holdfast {} ({} build)\nlibbpf {}\nkernel {} {}\n",
                                        versions.holdfast, versions.build_type, versions.libbpf,
                                        versions.kernel, versions.machine);
  return kExitOk;
}

}  // namespace

Command version_command() {
  return Command{
      .name = "version",
      .summary = "print the versions of holdfast, libbpf and the kernel",
      .add_options =
          [](boost::program_options::options_description& options) {
            options.add_options()("json", "Print one JSON object.");
          },
      .manual =
          {.description =
               {"Prints the version and build type of holdfast, the version of the libbpf that is "
                "loaded, and the release of the kernel that is running. Put it into bug reports."},
           .exit_status = {{"0", "Always."}},
           .examples = {{"holdfast version --json | jq -r .holdfast", "The version alone."}}},
      .run = run,
  };
}

}  // namespace holdfast::cli
