// Real servers for the tests of the verifier, each owned by an object that takes it away again.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/plan.h"

namespace holdfast::verify::e2e {

// A directory that goes with the object.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string path(std::string_view name) const;
  // Writes the file whole, or not at all: a server may read it at any time. Returns its path.
  std::string write(std::string_view name, std::string_view content) const;

 private:
  std::filesystem::path root_;
};

// A process that is killed with the object, and by the kernel where the test itself is killed.
class Process {
 public:
  // Output goes to the file `log`. Throws where the program can't be started.
  Process(const std::vector<std::string>& command, const std::string& log);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int number) const;
  void stop();  // SIGSTOP, and wait until all of its threads stand still
  void kill();  // and wait for it
  bool running();

 private:
  pid_t pid_ = -1;
};

// Runs a command to its end. Throws, with its output, where it fails.
void run(const std::vector<std::string>& command, const TempDir& dir);

// A port of 127.0.0.1 that nobody listens on right now.
int free_port();

// Asks again and again; false where it did not come true within a minute.
bool eventually(const std::function<bool()>& condition);

// The plan's words for a server at this URL, with a timeout that only a broken server exceeds.
plan::PrometheusConfig config_for(const std::string& url);

// Prometheus. Ready (answers /-/ready, not: has scraped) when the constructor returns.
class PrometheusServer {
 public:
  struct Options {
    std::string config = "global: {scrape_interval: 1s, evaluation_interval: 1s}\n";
    std::string web_config;           // path of a --web.config.file
    std::string netns;                // where it runs
    plan::PrometheusConfig access{};  // how to reach it; the URL is filled in
    std::string scheme = "http";
  };
  explicit PrometheusServer(Options options);
  PrometheusServer() : PrometheusServer(Options{}) {}

  const plan::PrometheusConfig& access() const { return access_; }
  const std::string& url() const { return access_.url; }
  Process& process() { return *process_; }

 private:
  bool wait_ready();

  TempDir dir_;
  plan::PrometheusConfig access_;
  std::unique_ptr<Process> process_;
};

// nginx with one server on loopback, its body given. Answers when the constructor returns.
class NginxServer {
 public:
  explicit NginxServer(const std::string& server_body);
  std::string address() const;  // "127.0.0.1:1234"
  void stop() { process_->kill(); }

 private:
  TempDir dir_;
  int port_ = 0;
  std::unique_ptr<Process> process_;
};

// A network namespace with loopback up, deleted with the object.
class NetworkNamespace {
 public:
  NetworkNamespace();
  ~NetworkNamespace();
  NetworkNamespace(const NetworkNamespace&) = delete;
  NetworkNamespace& operator=(const NetworkNamespace&) = delete;
  const std::string& name() const { return name_; }

 private:
  TempDir dir_;
  std::string name_;
};

}  // namespace holdfast::verify::e2e
