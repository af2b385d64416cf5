#include "common/result.h"

#include <cstdlib>
#include <system_error>

namespace holdfast {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return "usage";
    case ErrorKind::not_found:
      return "not-found";
    case ErrorKind::permission:
      return "permission";
    case ErrorKind::unsupported:
      return "unsupported";
    case ErrorKind::conflict:
      return "conflict";
    case ErrorKind::unavailable:
      return "unavailable";
    case ErrorKind::io:
      return "io";
    case ErrorKind::internal:
      return "internal";
  }
  return "internal";
}

Error Error::with_context(std::string_view context) const {
  return Error{kind, std::string(context) + ": " + message, cure};
}

std::unexpected<Error> fail_errno(std::string_view what, int error_number) {
  const int positive = std::abs(error_number);
  ErrorKind kind = ErrorKind::io;
  if (positive == EPERM || positive == EACCES) {
    kind = ErrorKind::permission;
  } else if (positive == ENOENT || positive == ENODEV || positive == ESRCH) {
    kind = ErrorKind::not_found;
  } else if (positive == EOPNOTSUPP || positive == ENOSYS) {
    kind = ErrorKind::unsupported;
  }
  return fail(kind, std::string(what) + ": " + std::generic_category().message(positive));
}

}  // namespace holdfast
