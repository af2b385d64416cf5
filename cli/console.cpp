#include "cli/console.h"

#include <fcntl.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string_view>
#include <utility>

namespace holdfast::cli {

namespace {

// https://no-color.org: set and not empty, whatever its value.
bool environment_forbids_colour() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return (no_color != nullptr && *no_color != '\0') ||
         (term != nullptr && std::string_view(term) == "dumb");
}

}  // namespace

Console standard_console() {
  const bool out_is_terminal = ::isatty(STDOUT_FILENO) == 1;
  return Console{.in = std::cin,
                 .out = std::cout,
                 .err = std::cerr,
                 .out_is_terminal = out_is_terminal,
                 .err_is_terminal = ::isatty(STDERR_FILENO) == 1,
                 .colour = out_is_terminal && !environment_forbids_colour()};
}

void print_error(Console& console, const Error& error) {
  // What was printed before must not appear after the error when both streams share a terminal.
  console.out.flush();
  console.err << "holdfast: " << error.message << '\n';
  if (!error.cure.empty()) {
    console.err << "  cure: " << error.cure << '\n';
  }
  console.err.flush();
}

std::string quote(std::string_view word) {
  constexpr std::size_t kLongest = 60;
  std::string quoted = "\"";
  for (const char c : word.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    quoted += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  return quoted + (word.size() > kLongest ? "...\"" : "\"");
}

void set_up_logging(bool verbose) {
  auto logger = std::make_shared<spdlog::logger>("holdfast",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(verbose ? spdlog::level::debug : spdlog::level::warn);
  logger->set_pattern("%H:%M:%S.%e %l %v");
  spdlog::set_default_logger(std::move(logger));
}

void occupy_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) == -1 && errno == EBADF) {
      // The lowest free number is the one that was found closed, as the lower ones are open by now.
      (void)::open("/dev/null",
                   O_RDWR);  // NOLINT(cppcoreguidelines-pro-type-vararg): kept open on purpose
    }
  }
}

bool output_arrived(Console& console) {
  if (!console.out) {  // an earlier flush failed; its errno is gone, so ask again below
    console.out.clear();
  }
  errno = 0;
  console.out.flush();
  if (console.out) {
    return true;
  }
  return errno == EPIPE;
}

}  // namespace holdfast::cli
