// The streams that a command talks to, and how errors look on them. Passed in, so that tests read
// what was said.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>

#include "common/result.h"

namespace holdfast::cli {

struct Console {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool colour = false;  // of `out`; already false for --no-color, NO_COLOR, TERM=dumb and where
                        // `out` is no terminal
  bool verbose = false;
};

// The process's own standard streams.
Console standard_console();

// "holdfast: <message>", and "  cure: <cure>" on the next line where there is one.
void print_error(Console& console, const Error& error);

// A word of the command line between quotation marks, fit for a message: shortened where it is
// long, and without the control characters with which it could otherwise steer the terminal.
std::string quote(std::string_view word);

// Sends the log to standard error: warnings and worse, with `verbose` everything.
void set_up_logging(bool verbose);

// Gives the descriptors 0, 1 and 2 to /dev/null where the caller closed them: the next file that is
// opened would otherwise take that number and receive our output. Call before anything else is
// opened.
void occupy_standard_descriptors();

// Flushes `out`. False when what was written there did not arrive, except where nobody was there to
// read it any more (EPIPE, as in `holdfast explain plan.yaml | head`): that is the reader's choice
// and no failure.
bool output_arrived(Console& console);

}  // namespace holdfast::cli
