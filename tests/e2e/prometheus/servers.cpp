#include "tests/e2e/prometheus/servers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

#include "common/unique_fd.h"
#include "controller/verify/enter_netns.h"
#include "controller/verify/http_client.h"

namespace holdfast::verify::e2e {
namespace {

constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::milliseconds kPause{20};  // between two looks at a condition
constexpr int kStarts = 3;                       // another process may take a free port first

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool answers(const plan::PrometheusConfig& config, std::string_view path, long status) {
  auto client = HttpClient::make(config);
  if (!client) {
    return false;
  }
  const auto response = client->get(path);
  return response && response->status == status;
}

}  // namespace

TempDir::TempDir() {
  std::string name = std::filesystem::temp_directory_path() / "holdfast-e2e-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) {
    throw std::runtime_error("no temporary directory");
  }
  root_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

std::string TempDir::path(std::string_view name) const {
  return root_ / name;
}

std::string TempDir::write(std::string_view name, std::string_view content) const {
  const std::string target = path(name);
  std::ofstream(target + ".new") << content;
  std::filesystem::rename(target + ".new", target);
  return target;
}

Process::Process(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> arguments;
  for (const std::string& word : command) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  const UniqueFd output(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) {
    throw std::runtime_error("fork failed");
  }
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) {
      ::_exit(127);
    }
    ::dup2(output.get(), STDOUT_FILENO);
    ::dup2(output.get(), STDERR_FILENO);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
}

Process::~Process() {
  kill();
}

void Process::signal(int number) const {
  if (pid_ > 0) {
    ::kill(pid_, number);
  }
}

void Process::stop() {
  signal(SIGSTOP);
  siginfo_t stopped{};
  ::waitid(P_PID, static_cast<id_t>(pid_), &stopped, WSTOPPED);
}

void Process::kill() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
}

bool Process::running() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) {
    pid_ = -1;
  }
  return pid_ > 0;
}

void run(const std::vector<std::string>& command, const TempDir& dir) {
  const std::string log = dir.path("run.log");
  const std::string status_file = dir.path("run.status");
  std::vector<std::string> wrapped{"sh", "-c", "\"$@\"; echo $? > \"$0\"", status_file};
  wrapped.insert(wrapped.end(), command.begin(), command.end());
  Process process(wrapped, log);
  if (!eventually([&] { return !process.running(); }) || content_of(status_file) != "0\n") {
    throw std::runtime_error(fmt::format("{} failed: {}", command.front(), content_of(log)));
  }
}

int free_port() {
  const UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  if (::bind(probe.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw std::runtime_error("no free port");
  }
  return ntohs(address.sin_port);
}

bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

plan::PrometheusConfig config_for(const std::string& url) {
  plan::PrometheusConfig config;
  config.url = url;
  config.timeout = std::chrono::seconds(20);
  return config;
}

PrometheusServer::PrometheusServer(Options options) : access_(std::move(options.access)) {
  const std::string config = dir_.write("prometheus.yml", options.config);
  access_.timeout = std::chrono::seconds(20);
  access_.netns = options.netns;
  for (int start = 0; start < kStarts; ++start) {
    const int port = free_port();
    access_.url = fmt::format("{}://127.0.0.1:{}", options.scheme, port);
    std::vector<std::string> command;
    if (!options.netns.empty()) {
      command = {"ip", "netns", "exec", options.netns};
    }
    command.insert(command.end(), {"prometheus", "--config.file=" + config, "--log.level=warn",
                                   fmt::format("--web.listen-address=127.0.0.1:{}", port),
                                   fmt::format("--storage.tsdb.path={}",
                                               dir_.path(fmt::format("data{}", start)))});
    if (!options.web_config.empty()) {
      command.push_back("--web.config.file=" + options.web_config);
    }
    process_ = std::make_unique<Process>(command, dir_.path("log"));
    if (wait_ready()) {
      return;
    }
  }
  throw std::runtime_error("Prometheus does not start: " + content_of(dir_.path("log")));
}

bool PrometheusServer::wait_ready() {
  bool ready = false;
  // A thread of its own: it may have to go into the namespace.
  std::thread([&] {
    if (!access_.netns.empty() && !enter_netns(access_.netns)) {
      return;
    }
    eventually([&] {
      ready = answers(access_, "/-/ready", 200);
      return ready || !process_->running();
    });
  }).join();
  return ready;
}

NginxServer::NginxServer(const std::string& server_body) {
  for (int start = 0; start < kStarts; ++start) {
    port_ = free_port();
    const std::string config = dir_.write(
        "nginx.conf",
        fmt::format(
            "user root;\ndaemon off;\nmaster_process off;\npid {0}/pid;\n"
            "error_log stderr;\nevents {{}}\nhttp {{\n  access_log off;\n"
            "  client_body_temp_path {0}/body;\n  proxy_temp_path {0}/proxy;\n"
            "  fastcgi_temp_path {0}/f;\n  uwsgi_temp_path {0}/u;\n  scgi_temp_path {0}/s;\n"
            "  server {{\n    listen 127.0.0.1:{1};\n"
            "    location = /test-ready {{ return 204; }}\n{2}\n  }}\n}}\n",
            dir_.path(""), port_, server_body));
    process_ = std::make_unique<Process>(std::vector<std::string>{"nginx", "-c", config},
                                         dir_.path("log"));
    const auto access = config_for("http://" + address());
    const bool settled =
        eventually([&] { return answers(access, "/test-ready", 204) || !process_->running(); });
    if (settled && process_->running()) {
      return;
    }
  }
  throw std::runtime_error("nginx does not start: " + content_of(dir_.path("log")));
}

std::string NginxServer::address() const {
  return fmt::format("127.0.0.1:{}", port_);
}

NetworkNamespace::NetworkNamespace() : name_(fmt::format("hf-e2e-prom-{}", ::getpid())) {
  run({"ip", "netns", "add", name_}, dir_);
  run({"ip", "-n", name_, "link", "set", "lo", "up"}, dir_);
}

NetworkNamespace::~NetworkNamespace() {
  try {
    run({"ip", "netns", "delete", name_}, dir_);
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
  }
}

}  // namespace holdfast::verify::e2e
