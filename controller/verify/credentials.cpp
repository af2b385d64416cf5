#include "controller/verify/credentials.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/unique_fd.h"

namespace holdfast::verify {
namespace {

constexpr std::size_t kMaxSecretBytes = 64 * 1024;

Result<std::string> read_small_file(const std::string& path) {
  // Not blocking: a FIFO in place of the file must not hang a probe.
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    return fail_errno(path, errno);
  }
  std::string content;
  std::array<char, 4096> chunk;
  while (content.size() <= kMaxSecretBytes) {
    const ssize_t got = ::read(file.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return fail_errno(path, errno);
    }
    if (got == 0) {
      return content;
    }
    content.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return fail(ErrorKind::usage, fmt::format("{}: larger than {} bytes", path, kMaxSecretBytes));
}

// A secret without the white space around it: editors end files with a newline.
Result<std::string> read_secret(const std::string& path, std::string_view what) {
  auto content = read_small_file(path);
  if (!content) {
    Error error = content.error().with_context(fmt::format("read the {}", what));
    error.kind = ErrorKind::usage;
    return std::unexpected(std::move(error));
  }
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t begin = content->find_first_not_of(kBlank);
  if (begin == std::string::npos) {
    return fail(ErrorKind::usage, fmt::format("read the {}: {}: empty", what, path));
  }
  std::string secret = content->substr(begin, content->find_last_not_of(kBlank) - begin + 1);
  // A line break inside would let the file write headers of its own.
  if (std::ranges::any_of(secret, [](char c) { return static_cast<unsigned char>(c) < 0x20; })) {
    return fail(ErrorKind::usage,
                fmt::format("read the {}: {}: more than one line, or not text", what, path));
  }
  return secret;
}

}  // namespace

Result<Credentials> read_credentials(const plan::PrometheusConfig& config) {
  Credentials credentials;
  if (!config.bearer_token_file.empty()) {
    auto token = read_secret(config.bearer_token_file, "bearer token");
    if (!token) {
      return std::unexpected(std::move(token.error()));
    }
    credentials.bearer_token = std::move(*token);
  }
  if (config.basic_auth) {
    credentials.username = config.basic_auth->username;
    credentials.password = config.basic_auth->password;
    if (!config.basic_auth->password_file.empty()) {
      auto password = read_secret(config.basic_auth->password_file, "password");
      if (!password) {
        return std::unexpected(std::move(password.error()));
      }
      credentials.password = std::move(*password);
    }
  }
  return credentials;
}

}  // namespace holdfast::verify
