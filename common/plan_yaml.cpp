#include "common/plan_yaml.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <sstream>

#include "common/sha256.h"
#include "common/unique_fd.h"
#include "common/yaml_reader.h"

namespace holdfast::plan {
namespace {

constexpr int kDeepest = 32;
constexpr int kMostNodes = 200'000;

// Looks at the stream of events before a tree is built: a few aliases of aliases are billions of
// nodes ("YAML bomb").
class Guard : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override { ++documents; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { node(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    stop(mark, "aliases (*name) are not accepted in a plan");
  }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                const std::string&) override {
    node(mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    enter(mark);
  }
  void OnSequenceEnd() override { --depth_; }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    enter(mark);
  }
  void OnMapEnd() override { --depth_; }
  int documents = 0;

 private:
  [[noreturn]] static void stop(const YAML::Mark& mark, const char* why) {
    throw YAML::ParserException(mark, why);
  }
  void node(const YAML::Mark& mark) {
    if (++nodes_ > kMostNodes) {
      stop(mark, "too many values for a plan");
    }
  }
  void enter(const YAML::Mark& mark) {
    node(mark);
    if (++depth_ > kDeepest) {
      stop(mark, "nested too deeply for a plan");
    }
  }
  int depth_ = 0, nodes_ = 0;
};

ParseOutcome single(const std::string& file, int line, int column, std::string message,
                    std::string accepted) {
  ParseOutcome outcome;
  outcome.diagnostics.push_back(
      {{file, line, column, ""}, std::move(message), "", std::move(accepted), ""});
  return outcome;
}

// yaml-cpp's scanner calls itself for each opening bracket: the text is looked at before it is.
bool nests_too_deeply(std::string_view text) {
  int depth = 0, deepest = 0;
  for (const char c : text) {
    depth += c == '[' || c == '{' ? 1 : c == ']' || c == '}' ? -1 : 0;
    deepest = std::max(deepest, depth);
  }
  return deepest > 8 * kDeepest;
}

Result<std::string> read_plan(const std::string& path) {
  // O_NONBLOCK: opening a FIFO must not wait for its writer.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    auto failed = fail_errno("can't read the plan", errno);
    failed.error().cure = "check the path and its permissions";
    return failed;
  }
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return fail(ErrorKind::usage, "not a regular file", "the path of a plan file");
  }
  std::string text(kMaxPlanBytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0) {
      return fail_errno("can't read the plan", errno);
    }
    if (got == 0) {
      break;
    }
    size += static_cast<std::size_t>(got);
  }
  if (size > kMaxPlanBytes) {
    return fail(ErrorKind::usage, fmt::format("too large: {} bytes", status.st_size),
                fmt::format("at most {} bytes", kMaxPlanBytes));
  }
  text.resize(size);
  return text;
}

}  // namespace

std::string Diagnostic::text() const {
  std::string line = where.file;
  if (where.line > 0) {
    line += fmt::format(":{}:{}", where.line, where.column);
  }
  line += ": ";
  if (!where.key_path.empty()) {
    line += where.key_path + ": ";
  }
  line += message;
  if (!found.empty()) {
    line += "; found " + found;
  }
  if (!accepted.empty()) {
    line += "; accepted: " + accepted;
  }
  if (!suggestion.empty()) {
    line += fmt::format("; did you mean \"{}\"?", suggestion);
  }
  return line;
}

ParseOutcome load_plan(const std::string& path) {
  auto text = read_plan(path);
  if (!text) {
    return single(path, 0, 0, text.error().message, text.error().cure);
  }
  return parse_plan(*text, path);
}

ParseOutcome parse_plan(std::string_view text, const std::string& file) {
  if (text.size() > kMaxPlanBytes) {
    return single(file, 0, 0, "too large", fmt::format("at most {} bytes", kMaxPlanBytes));
  }
  if (text.find('\0') != std::string_view::npos) {
    return single(file, 0, 0, "not a text: it has NUL bytes", "a YAML file in UTF-8");
  }
  if (nests_too_deeply(text)) {
    return single(file, 0, 0, "nested too deeply for a plan",
                  fmt::format("at most {} levels", kDeepest));
  }
  ParseOutcome outcome;
  Reader reader(file);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Guard guard;
    while (parser.HandleNextDocument(guard)) {
    }
    if (guard.documents != 1) {
      return single(file, 1, 1,
                    guard.documents == 0 ? "the plan is empty" : "several documents in one file",
                    "one YAML document with an experiment");
    }
    Experiment experiment = decode_experiment(reader, YAML::Load(std::string(text)), file);
    experiment.sha256 = sha256_hex(text);
    outcome.diagnostics = reader.take();
    if (outcome.diagnostics.empty()) {
      outcome.experiment = std::move(experiment);
    }
  } catch (const YAML::Exception& error) {
    return single(file, error.mark.line + 1, error.mark.column + 1,
                  "not a plan in YAML: " + error.msg, "YAML 1.2 without anchors and aliases");
  }
  std::stable_sort(outcome.diagnostics.begin(), outcome.diagnostics.end(),
                   [](const Diagnostic& a, const Diagnostic& b) {
                     return std::pair(a.where.line, a.where.column) <
                            std::pair(b.where.line, b.where.column);
                   });
  return outcome;
}

}  // namespace holdfast::plan
