// Which packets a fault hits: a percentage at random, in bursts, or each n-th.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/yaml_reader.h"

namespace holdfast::plan {
namespace {

constexpr const char* kShare = "above 0%, at most 100%";

void decode_gilbert_elliott(Reader& reader, const MapReader& outer, Draw& draw) {
  MapReader map(reader, outer.get("gilbertElliott"), outer.path("gilbertElliott"),
                {"goodToBad", "badToGood", "lossInGood", "lossInBad"});
  constexpr bool kOrNone = true;
  if (map.require("goodToBad", kShare)) {
    draw.chain.to_bad = reader.share(map.get("goodToBad"), map.path("goodToBad")).value_or(1);
  }
  if (map.require("badToGood", kShare)) {
    draw.chain.to_good = reader.share(map.get("badToGood"), map.path("badToGood")).value_or(1);
  }
  if (map.has("lossInGood")) {
    draw.chain.hit_in_good =
        reader.share(map.get("lossInGood"), map.path("lossInGood"), kOrNone).value_or(0);
  }
  if (map.has("lossInBad")) {
    draw.chain.hit_in_bad =
        reader.share(map.get("lossInBad"), map.path("lossInBad"), kOrNone).value_or(1);
  }
  draw.how = Draw::How::chain;
  draw.written =
      fmt::format("{} by Gilbert-Elliott (good to bad {}, bad to good {}, {} and {} lost)",
                  format_percent({draw.expected_share()}), format_percent({draw.chain.to_bad}),
                  format_percent({draw.chain.to_good}), format_percent({draw.chain.hit_in_good}),
                  format_percent({draw.chain.hit_in_bad}));
  if (map.valid() && draw.expected_share() <= 0 && reader.changes().empty()) {
    reader.report(outer.get("gilbertElliott"), outer.path("gilbertElliott"), "no loss at all",
                  "lossInGood or lossInBad above 0%");
  }
}

// Bursts that are `length` packets long on average, and hit `percent` of the packets in all.
void decode_bursts(Reader& reader, const MapReader& map, Draw& draw) {
  const double hit = draw.percent.share;
  // The link leaves its good state with to_bad <= 1, so the pauses are a packet long at least.
  const double least = std::max(1.0, hit / (1 - hit));
  const auto length = reader.number(map.get("burstLength"), map.path("burstLength"));
  if (!length) {
    return;
  }
  if (*length < least || *length > 1e6) {
    reader.report(
        map.get("burstLength"), map.path("burstLength"), "not a possible length",
        fmt::format("{:.4g} to 1000000 packets at {}", least, format_percent(draw.percent)));
    return;
  }
  draw.how = Draw::How::chain;
  draw.chain = {.to_bad = hit / (1 - hit) / *length, .to_good = 1 / *length};
  draw.written += fmt::format(" in bursts of {:.4g}", *length);
}

// A packet shares the fate of the one before with the probability `correlation`, and has one of its
// own else: the rate stays, and the autocorrelation of neighbours is `correlation`.
void decode_correlation(Reader& reader, const MapReader& map, Draw& draw) {
  const auto same = reader.share(map.get("correlation"), map.path("correlation"));
  if (!same) {
    return;
  }
  if (*same >= 1) {
    reader.report(map.get("correlation"), map.path("correlation"), "nothing would ever change",
                  "above 0%, below 100%");
    return;
  }
  const double hit = draw.percent.share;
  draw.how = Draw::How::chain;
  draw.chain = {.to_bad = (1 - *same) * hit, .to_good = (1 - *same) * (1 - hit)};
  draw.written += fmt::format(" with correlation {}", format_percent({*same}));
}

void decode_percent(Reader& reader, const MapReader& map, Draw& draw) {
  const auto hit = reader.share(map.get("percent"), map.path("percent"));
  if (!hit) {
    return;
  }
  draw.percent.share = *hit;
  draw.written = format_percent(draw.percent);
  const char* shape = map.has("burstLength") ? "burstLength" : "correlation";
  if (!map.has(shape)) {
    return;
  }
  if (map.has("burstLength") && map.has("correlation")) {
    reader.report(map.get("correlation"), map.path("correlation"), "one of the two decides",
                  "burstLength or correlation");
  } else if (*hit >= 1) {
    reader.report(map.get(shape), map.path(shape), "every packet is hit anyway",
                  "a percent below 100%");
  } else if (map.has("burstLength")) {
    decode_bursts(reader, map, draw);
  } else {
    decode_correlation(reader, map, draw);
  }
}

}  // namespace

std::vector<std::string> draw_keys(const std::vector<std::string>& more) {
  std::vector<std::string> keys = {"percent", "correlation", "burstLength", "every"};
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

void decode_draw(Reader& reader, const MapReader& map, Draw& draw, bool with_states) {
  const int shapes = static_cast<int>(map.has("percent")) + static_cast<int>(map.has("every")) +
                     static_cast<int>(map.has("gilbertElliott"));
  if (map.valid() && shapes != 1) {
    reader.report(map.node(), map.path(""), "not one way to say which packets",
                  with_states ? "exactly one of percent, every, gilbertElliott"
                              : "exactly one of percent, every");
    return;
  }
  for (const char* key : {"burstLength", "correlation"}) {
    if (map.has(key) && !map.has("percent")) {
      reader.report(map.get(key), map.path(key), "shapes a percentage", "percent beside it");
    }
  }
  if (map.has("every")) {
    draw.every = static_cast<int>(
        reader.integer(map.get("every"), map.path("every"), 1, 1'000'000'000).value_or(1));
    draw.how = Draw::How::every;
    draw.written =
        draw.every == 1 ? "of every packet" : fmt::format("of one packet in {}", draw.every);
  } else if (map.has("gilbertElliott")) {
    decode_gilbert_elliott(reader, map, draw);
  } else if (map.has("percent")) {
    decode_percent(reader, map, draw);
  }
}

}  // namespace holdfast::plan
