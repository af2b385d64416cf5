// The `holdfast` command. What it can do is in commands.cpp; this is the last resort for what
// nobody else caught.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/dispatch.h"

namespace {

using namespace holdfast;

int report_defect(const char* what) {
  // No stream and no allocation: this may be the answer to std::bad_alloc.
  std::fprintf(stderr,
               "holdfast: internal error: %s\n  cure: report it with the command line and "
               "`holdfast version`\n",
               what);
  return cli::kExitInternal;
}

// For what no `catch` sees: an exception in another thread, or in a destructor. Faults that are
// still injected end in the kernel with their lease.
[[noreturn]] void end_without_trace() {
  report_defect("unhandled exception");
  std::_Exit(cli::kExitInternal);
}

int guarded_main(int argc, char** argv) {
  cli::Console console = cli::standard_console();
  const int code =
      cli::dispatch(cli::all_commands(), std::vector<std::string>(argv + 1, argv + argc), console);
  if (!cli::output_arrived(console) && code == cli::kExitOk) {
    cli::print_error(console, Error{ErrorKind::io, "standard output could not be written to",
                                    "check the disk or the program that reads it"});
    return cli::kExitOutputLost;
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  std::set_terminate(end_without_trace);
  cli::occupy_standard_descriptors();
  // A reader that goes away must not kill a run before its faults are removed; writes then fail
  // with EPIPE.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return argc < 1 ? report_defect("no program name") : guarded_main(argc, argv);
  } catch (const std::exception& error) {
    return report_defect(error.what());
  } catch (...) {
    return report_defect("unknown exception");
  }
}
