#include "controller/report/html_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "controller/report/markup.h"

namespace holdfast::report {
namespace {

constexpr double kWidth = 860, kHeight = 250, kLeft = 80, kRight = 60, kTop = 30, kBottom = 34;
// A letter's width on a narrow screen, where labels are drawn twice as large (the page's style).
constexpr double kNarrowLetter = 13;
// From here on only misses get marks of their own: the marks would hide the line, and the page
// would not open.
constexpr std::size_t kDense = 600;

// What is beyond cannot be told apart in a picture, and differences of it would overflow.
double drawable(double value) {
  constexpr double kMost = 1e300;
  return std::clamp(value, -kMost, kMost);
}

// From time and value to the picture.
struct Scale {
  double end = 1, low = 0, high = 1;
  double x(double at) const {
    return kLeft + (kWidth - kLeft - kRight) * std::clamp(at / end, 0.0, 1.0);
  }
  double y(double value) const {
    return kHeight - kBottom -
           (kHeight - kTop - kBottom) *
               std::clamp((drawable(value) - low) / (high - low), 0.0, 1.0);
  }
};

Scale scale_of(const RunReport& report, const ProbeReport& probe) {
  Scale scale;
  scale.end = std::max(report.duration, 1.0);
  std::vector<double> values;
  if (std::isfinite(probe.bound)) {
    values.push_back(drawable(probe.bound));
  }
  for (const ProbePoint& point : probe.points) {
    if (point.value && std::isfinite(*point.value)) {
      values.push_back(drawable(*point.value));
    }
  }
  if (!values.empty()) {
    const auto [low, high] = std::ranges::minmax(values);
    scale.low = low;
    scale.high = high;
  }
  const double margin = scale.high > scale.low ? (scale.high - scale.low) * 0.1
                                               : std::max(std::abs(scale.high) * 0.1, 0.1);
  scale.low -= margin;
  scale.high += margin;
  return scale;
}

// 1, 2 or 5 times a power of ten, about `count` of them over `span`.
double tick_step(double span, int count) {
  const double rough = span / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) {
      return factor * power;
    }
  }
  return 10 * power;
}

// The multiples of `step` from `low` to `high`. Counted in whole numbers: where the step is too
// small for a double beside its value, adding it up would never arrive.
std::vector<double> ticks(double low, double high, double step) {
  constexpr int kAtMost = 20;
  std::vector<double> found;
  const double first = std::ceil(low / step);
  for (int i = 0; i < kAtMost && (first + i) * step <= high; ++i) {
    found.push_back((first + i) * step);
  }
  return found;
}

std::string draw_axes(const Scale& scale) {
  std::string svg;
  const double bottom = kHeight - kBottom;
  bool second = false;
  for (const double at : ticks(0, scale.end, tick_step(scale.end, 8))) {
    svg += fmt::format(
        "<text class=\"tick{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:g} s</text>",
        second ? " wide-only" : "", scale.x(at), bottom + 22, at);
    second = !second;
  }
  const double step = tick_step(scale.high - scale.low, 4);
  for (const double value : ticks(scale.low, scale.high, step)) {
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/><text "
        "class=\"tick\" x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.4g}</text>",
        kLeft, kWidth - kRight, scale.y(value), kLeft - 8, scale.y(value) + 4,
        std::abs(value) < step / 1e6 ? 0.0 : value);
  }
  return svg;
}

// When the fault was in force, from and to. One that pulses faster than the picture can show is
// drawn as one window.
std::vector<std::pair<double, double>> windows_of(const RunReport& report,
                                                  const ActionReport& action) {
  if (!action.start) {
    return {};
  }
  const double end = action.end.value_or(report.duration);
  const double period = action.pulse ? action.pulse->active + action.pulse->dormant : 0;
  constexpr double kMostPulses = 100;
  if (period <= 0 || (end - *action.start) / period > kMostPulses) {
    return {{*action.start, end}};
  }
  std::vector<std::pair<double, double>> windows;
  for (int i = 0; *action.start + i * period < end; ++i) {
    const double start = *action.start + i * period;
    windows.emplace_back(start, std::min(start + action.pulse->active, end));
  }
  return windows;
}

std::string draw_backdrop(const RunReport& report, const Scale& scale) {
  std::string svg;
  for (const ActionReport& action : report.actions) {
    for (const auto& [start, end] : windows_of(report, action)) {
      const double from = scale.x(start), to = scale.x(end);
      svg += fmt::format(
          "<rect class=\"fault-window\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" "
          "height=\"{}\"><title>{}</title></rect>",
          from, kTop, std::max(to - from, 1.0), kHeight - kTop - kBottom,
          escape(action.name + ": " + action.fault));
    }
  }
  for (const PhaseSpan& span : report.phases) {
    const double width = scale.x(span.end) - scale.x(span.start);
    const std::string_view name = to_string(span.phase);
    if (width > kNarrowLetter / 2 * static_cast<double>(name.size())) {
      svg += fmt::format(
          "<line class=\"phase\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/><text "
          "class=\"tick{3}\" x=\"{4:.1f}\" y=\"{5}\">{6}</text>",
          scale.x(span.start), kTop, kHeight - kBottom,
          width < kNarrowLetter * static_cast<double>(name.size()) ? " wide-only" : "",
          scale.x(span.start) + 2, kTop - 8, name);
    }
  }
  return svg;
}

std::string draw_values(const ProbeReport& probe, const Scale& scale) {
  std::string path, marks;
  bool pen_down = false;
  for (const ProbePoint& point : probe.points) {
    const std::string tip = escape(fmt::format("{:.1f} s: {}", point.at, point.detail));
    if (!point.value || !std::isfinite(*point.value) || point.status == verify::Status::no_data) {
      marks += fmt::format(
          "<rect class=\"no-data\" x=\"{:.1f}\" y=\"{}\" width=\"3\" "
          "height=\"10\"><title>{}</title></rect>",
          scale.x(point.at) - 1.5, kHeight - kBottom - 10, tip);
      pen_down = false;
      continue;
    }
    path += fmt::format("{}{:.1f},{:.1f} ", pen_down ? "L" : "M", scale.x(point.at),
                        scale.y(*point.value));
    pen_down = true;
    const bool miss = point.status == verify::Status::miss;
    if (!miss && probe.points.size() > kDense) {
      continue;
    }
    marks += fmt::format(
        "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>{}</title></circle>",
        miss ? "miss" : "ok", scale.x(point.at), scale.y(*point.value), miss ? 4 : 2, tip);
  }
  return fmt::format("<path class=\"series\" d=\"{}\"/>{}", path, marks);
}

}  // namespace

std::string draw_chart(const RunReport& report, const ProbeReport& probe) {
  const Scale scale = scale_of(report, probe);
  const std::string bound =
      std::isfinite(probe.bound)
          ? fmt::format(
                "<line class=\"bound\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" "
                "y2=\"{2:.1f}\"><title>{3}</title></line><text class=\"tick\" x=\"{4}\" "
                "y=\"{5:.1f}\">{6:.4g}</text>",
                kLeft, kWidth - kRight, scale.y(probe.bound), escape("wanted " + probe.tolerance),
                kWidth - kRight + 4, scale.y(probe.bound) + 4, probe.bound)
          : "";
  return fmt::format(
      "<svg class=\"probe-chart\" viewBox=\"0 0 {} {}\" role=\"img\" "
      "aria-label=\"{}\">{}{}{}{}</svg>",
      kWidth, kHeight, escape(fmt::format("{} over time, wanted {}", probe.name, probe.tolerance)),
      draw_backdrop(report, scale), draw_axes(scale), bound, draw_values(probe, scale));
}

}  // namespace holdfast::report
