// Runs the benchmarks and writes what they found. Exit code: 0 when all of them ran, targets met or
// not; 1 when one could not be run; 2 for a bad command line.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "common/unique_fd.h"
#include "tests/bench/benchmark.h"
#include "tests/bench/result_writer.h"

namespace holdfast::bench {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;

constexpr int kExitFailed = 1, kExitUsage = 2;

struct Arguments {
  std::vector<Benchmark> chosen;
  fs::path output, holdfast;
  std::string command, commit;
  bool brief = false, list = false;
};

std::vector<std::string> names_of(const std::vector<Benchmark>& benchmarks) {
  std::vector<std::string> names;
  for (const Benchmark& one : benchmarks) {
    names.push_back(one.name);
  }
  return names;
}

Result<std::vector<Benchmark>> choose(const std::vector<std::string>& names) {
  const std::vector<Benchmark> all = all_benchmarks();
  if (names.empty()) {
    return all;
  }
  std::vector<Benchmark> chosen;
  for (const std::string& name : names) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const Benchmark& one) { return one.name == name; });
    if (found == all.end()) {
      return fail(ErrorKind::usage, fmt::format("no such benchmark: {}", name),
                  fmt::format("one of: {}", fmt::join(names_of(all), ", ")));
    }
    chosen.push_back(*found);
  }
  return chosen;
}

Result<Arguments> parse(int count, char** words) {
  po::options_description options;
  options.add_options()("short", "a few seconds")("list", "print the benchmarks' names")(
      "output", po::value<std::string>()->default_value("build/bench"))(
      "holdfast", po::value<std::string>()->default_value("build/bin/holdfast"))(
      "command", po::value<std::string>()->default_value("holdfast_bench"))(
      "commit", po::value<std::string>()->default_value("unknown"))(
      "name", po::value<std::vector<std::string>>());
  po::positional_options_description positional;
  positional.add("name", -1);
  po::variables_map given;
  try {
    po::store(po::command_line_parser(count, words).options(options).positional(positional).run(),
              given);
  } catch (const po::error& error) {
    return fail(ErrorKind::usage, error.what(), "scripts/bench --help");
  }
  auto chosen = choose(given.count("name") > 0 ? given["name"].as<std::vector<std::string>>()
                                               : std::vector<std::string>{});
  if (!chosen) {
    return std::unexpected(chosen.error());
  }
  return Arguments{.chosen = std::move(*chosen),
                   .output = given["output"].as<std::string>(),
                   .holdfast = fs::absolute(given["holdfast"].as<std::string>()),
                   .command = given["command"].as<std::string>(),
                   .commit = given["commit"].as<std::string>(),
                   .brief = given.count("short") > 0,
                   .list = given.count("list") > 0};
}

Result<void> write_file(const fs::path& path, const std::string& content) {
  const fs::path fresh = path.string() + ".new";
  std::ofstream file(fresh);
  file << content;
  file.close();
  std::error_code error;
  if (file) {
    fs::rename(fresh, path, error);
  }
  return file && !error ? Result<void>{}
                        : fail(ErrorKind::io, fmt::format("{} can't be written", path.string()));
}

// One run at a time: two would measure each other.
Result<UniqueFd> lock(const fs::path& directory) {
  UniqueFd file(::open((directory / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorKind::conflict,
                fmt::format("{} is not to be had: {}", directory.string(), std::strerror(errno)),
                "wait for the other benchmark, or give another --output");
  }
  return file;
}

void print_error(const std::string& what, const Error& error) {
  std::cerr << fmt::format("error: {}: {}\n", what, error.message);
  if (!error.cure.empty()) {
    std::cerr << fmt::format("  cure: {}\n", error.cure);
  }
}

int run_all(const Arguments& arguments) {
  const fs::path work = arguments.output / "work";
  std::error_code error;
  fs::create_directories(arguments.output, error);
  auto locked = lock(arguments.output);
  if (!locked) {
    print_error("start", locked.error());
    return kExitFailed;
  }
  const Machine machine = describe_machine(arguments.command, arguments.commit);
  std::vector<BenchmarkResult> results;
  bool all_ran = true;
  for (const Benchmark& benchmark : arguments.chosen) {
    std::cerr << fmt::format("==> {}\n", benchmark.name);
    fs::remove_all(work, error);  // what a killed one left
    fs::create_directories(work, error);
    const auto began = std::chrono::steady_clock::now();
    auto result = benchmark.run(
        {.brief = arguments.brief, .holdfast = arguments.holdfast, .work = fs::absolute(work)});
    if (!result) {
      print_error(benchmark.name, result.error());
      all_ran = false;
      continue;
    }
    fs::remove_all(work, error);
    result->name = benchmark.name;
    result->seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    std::cout << to_terminal(*result) << std::flush;
    results.push_back(std::move(*result));
  }
  for (const auto& [name, content] :
       {std::pair{"results.json", to_json(machine, arguments.brief, results)},
        std::pair{"results.md", to_markdown(machine, arguments.brief, results)}}) {
    if (auto written = write_file(arguments.output / name, content); !written) {
      print_error("results", written.error());
      all_ran = false;
    }
  }
  std::cout << fmt::format("\nresults: {0}/results.json, {0}/results.md\n",
                           arguments.output.string());
  return all_ran ? 0 : kExitFailed;
}

int run(int count, char** words) {
  auto arguments = parse(count, words);
  if (!arguments) {
    print_error("holdfast_bench", arguments.error());
    return kExitUsage;
  }
  if (arguments->list) {
    std::cout << fmt::format("{}\n", fmt::join(names_of(arguments->chosen), "\n"));
    return 0;
  }
  if (::geteuid() != 0) {
    print_error("holdfast_bench", {ErrorKind::permission, "needs root", "run it as root"});
    return kExitFailed;
  }
  return run_all(*arguments);
}

}  // namespace
}  // namespace holdfast::bench

int main(int count, char** words) {
  try {
    return holdfast::bench::run(count, words);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return holdfast::bench::kExitFailed;
  }
}
