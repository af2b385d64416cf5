// Reading YAML with every mistake noted and none fatal: shared by the decoders of the plan.
// Internal to common/.
#pragma once

#include <yaml-cpp/yaml.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/plan_yaml.h"

namespace holdfast::plan {

// Collects diagnostics for one file.
class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  Location locate(const YAML::Node& node, const std::string& path) const;
  void report(const YAML::Node& node, const std::string& path, std::string message,
              std::string accepted, std::string suggestion = {});
  // For an Error of a parser of units and the like.
  void report(const YAML::Node& node, const std::string& path, const Error& error);
  std::vector<Diagnostic> take() { return std::move(diagnostics_); }

  // A scalar's text; empty where the node is none (reported). `longest` in bytes.
  std::optional<std::string> text(const YAML::Node& node, const std::string& path,
                                  std::size_t longest = 4096);
  // A sequence's entries; a scalar or map in its place is reported.
  std::vector<YAML::Node> list(const YAML::Node& node, const std::string& path);
  // An index into `accepted`, for words of a closed set.
  std::optional<std::size_t> word(const YAML::Node& node, const std::string& path,
                                  const std::vector<std::string>& accepted);
  std::optional<long> integer(const YAML::Node& node, const std::string& path, long least,
                              long most);
  // A percentage as a share: above 0 (or from 0 on, with `or_none`) to 1.
  std::optional<double> share(const YAML::Node& node, const std::string& path,
                              bool or_none = false);
  std::optional<double> number(const YAML::Node& node, const std::string& path);  // finite
  std::optional<bool> boolean(const YAML::Node& node, const std::string& path);
  std::optional<Duration> duration(const YAML::Node& node, const std::string& path, Duration least,
                                   Duration most);
  std::optional<double> rate(const YAML::Node& node, const std::string& path, double least,
                             double most);
  std::optional<std::uint64_t> bytes(const YAML::Node& node, const std::string& path,
                                     std::uint64_t most);

  // From here on numbers may be schedules, {from, to, over, steps}: they are read as what they come
  // to at a moment after the start, at first 0. `longest` is how long they may take.
  void allow_schedules(Duration longest);
  void set_moment(Duration moment) { moment_ = moment; }
  void forbid_schedules() { schedules_allowed_ = false; }
  // When any of those that were read changes.
  const std::set<Duration>& changes() const { return changes_; }
  std::size_t mistakes() const { return diagnostics_.size(); }

 private:
  template <class T, class Read>
  std::optional<T> scheduled(const YAML::Node& node, const std::string& path, const Read& read);

  std::string file_;
  std::vector<Diagnostic> diagnostics_;
  bool schedules_allowed_ = false;
  Duration longest_schedule_{}, moment_{};
  std::set<Duration> changes_;
};

// A map whose keys are all known: unknown and duplicate ones are reported when it is made.
class MapReader {
 public:
  MapReader(Reader& reader, const YAML::Node& node, std::string path,
            const std::vector<std::string>& keys);

  bool has(const std::string& key) const { return values_.contains(key); }
  // The value; an undefined node where the key is absent.
  YAML::Node get(const std::string& key) const;
  std::string path(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }
  // Reports a key that must be there. Returns whether it is.
  bool require(const std::string& key, const std::string& accepted);
  std::optional<std::string> text(const std::string& key, std::size_t longest = 4096);
  Reader& reader() const { return reader_; }
  const YAML::Node& node() const { return node_; }
  bool valid() const { return valid_; }

 private:
  Reader& reader_;
  YAML::Node node_;
  std::string path_;
  std::map<std::string, YAML::Node> values_;
  bool valid_ = false;
};

// plan_decode.cpp: from a document to an experiment. Mistakes go to the reader.
Experiment decode_experiment(Reader& reader, const YAML::Node& document, const std::string& file);
// plan_decode_method.cpp
std::vector<Action> decode_method(Reader& reader, const YAML::Node& node, const std::string& path);
// plan_decode_faults.cpp: the words of `fault`, in the order of FaultKind; and what stands under
// the word of action.fault, which may add to action.match.
const std::vector<std::string>& fault_words();
void decode_parameters(Reader& reader, MapReader& map, Action& action);
// plan_decode_draw.cpp: which packets are hit. `more`: keys of the fault beside those;
// `with_states`: gilbertElliott is one of them.
std::vector<std::string> draw_keys(const std::vector<std::string>& more);
void decode_draw(Reader& reader, const MapReader& map, Draw& draw, bool with_states = false);
// plan_decode_latency.cpp
void decode_latency(Reader& reader, MapReader& action_map, Action& action);

}  // namespace holdfast::plan
