#include <fmt/format.h>

#include <fstream>

#include "controller/report/writers.h"

namespace holdfast::report {
namespace {

namespace fs = std::filesystem;

// By a second name, so that a reader never sees half a report.
Result<void> write_file(const fs::path& path, const std::string& text) {
  const fs::path temporary = path.string() + ".new";
  {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) {
      return fail_errno("write " + temporary.string(), errno);
    }
  }
  std::error_code error;
  fs::rename(temporary, path, error);
  if (error) {
    return fail_errno("write " + path.string(), error.value());
  }
  return {};
}

}  // namespace

Result<void> write_all(const RunReport& report, const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) {
    return fail_errno("make " + directory.string(), error.value());
  }
  for (const auto& [name, text] :
       {std::pair{"report.json", to_json(report)}, std::pair{"junit.xml", to_junit(report)},
        std::pair{"report.html", to_html(report)}}) {
    if (auto written = write_file(directory / name, text); !written) {
      return written;
    }
  }
  return {};
}

}  // namespace holdfast::report
