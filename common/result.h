// One result type for the whole project: a value, or an Error that says what failed and how to mend
// it.
#pragma once

#include <cerrno>
#include <cstring>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace holdfast {

// Why an operation failed, as far as a caller can act on it.
enum class ErrorKind {
  usage,        // the request itself is wrong (bad plan, bad option): exit code 2
  not_found,    // a namespace, interface, file or process that was named does not exist
  permission,   // needs root or a capability
  unsupported,  // this kernel or node can't do it
  conflict,     // would hit protected traffic, or another action
  unavailable,  // a peer (Prometheus, name server) can't be reached right now
  io,           // a system call failed; the errno is in the message
  internal,     // a defect of ours
};

std::string_view to_string(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::internal;
  std::string message;  // what happened, lower case, no full stop
  std::string cure;     // what the user can do; may be empty

  // The same error, with what was being attempted put in front: "attach to eth1: no such device".
  Error with_context(std::string_view context) const;
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorKind kind, std::string message, std::string cure = {}) {
  return std::unexpected(Error{kind, std::move(message), std::move(cure)});
}

// An Error from an errno value. Accepts both signs (libbpf returns -errno, system calls set errno):
// the only place where that sign is looked at.
std::unexpected<Error> fail_errno(std::string_view what, int error_number);

}  // namespace holdfast
