// TLS, client certificates and credentials against Prometheus' own web configuration and a proxy in
// front of it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/verify/prometheus.h"
#include "tests/e2e/prometheus/certificates.h"
#include "tests/e2e/prometheus/servers.h"

namespace holdfast::verify::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

plan::Probe always_true() {
  plan::Probe probe;
  probe.name = "always true";
  probe.query = "vector(1)";
  probe.tolerance = {plan::Comparison::eq, 1};
  return probe;
}

Evaluation evaluate_with(const plan::PrometheusConfig& config) {
  auto evaluator = make_prometheus_evaluator(config);
  if (!evaluator) {
    return {Status::no_data, std::nullopt, "make: " + evaluator.error().message};
  }
  return (*evaluator)->evaluate(always_true());
}

void expect_no_data(const plan::PrometheusConfig& config, const std::string& word) {
  const Evaluation evaluation = evaluate_with(config);
  EXPECT_EQ(evaluation.status, Status::no_data);
  EXPECT_THAT(evaluation.detail, HasSubstr(word));
}

// One Prometheus that speaks TLS only, to clients with a certificate and a password. Its own
// certificate is for prometheus.example, not for the address it listens on.
class PrometheusTls : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = std::make_unique<TempDir>();
    make_authority(*dir_, "ca");
    make_authority(*dir_, "other-ca");
    make_certificate(*dir_, "ca", "server", "DNS:prometheus.example");
    make_certificate(*dir_, "ca", "client", "DNS:holdfast.example");
    make_certificate(*dir_, "other-ca", "foreign", "DNS:holdfast.example");
    PrometheusServer::Options options;
    options.web_config = write_web_config(*dir_, "ca", "alice", "s3cret");
    options.scheme = "https";
    options.access.tls = {dir_->path("ca.pem"), dir_->path("client.pem"), dir_->path("client.key"),
                          "prometheus.example", false};
    options.access.basic_auth = {"alice", "s3cret", ""};
    server_ = std::make_unique<PrometheusServer>(std::move(options));
  }
  static void TearDownTestSuite() {
    server_.reset();
    dir_.reset();
  }

  static std::unique_ptr<TempDir> dir_;
  static std::unique_ptr<PrometheusServer> server_;
  plan::PrometheusConfig config_ = server_->access();
};
std::unique_ptr<TempDir> PrometheusTls::dir_;
std::unique_ptr<PrometheusServer> PrometheusTls::server_;

TEST_F(PrometheusTls, EverythingRight) {
  const Evaluation evaluation = evaluate_with(config_);
  EXPECT_EQ(evaluation.status, Status::ok) << evaluation.detail;
}

TEST_F(PrometheusTls, PasswordFromAFile) {
  config_.basic_auth->password.clear();
  config_.basic_auth->password_file = dir_->write("password", "s3cret\n");
  EXPECT_EQ(evaluate_with(config_).status, Status::ok);
}

TEST_F(PrometheusTls, WrongOrNoPassword) {
  config_.basic_auth->password = "guess";
  expect_no_data(config_, "HTTP 401");
  config_.basic_auth.reset();
  expect_no_data(config_, "HTTP 401");
}

TEST_F(PrometheusTls, AnotherAuthority) {
  config_.tls.ca_file = dir_->path("other-ca.pem");
  expect_no_data(config_, "certificate");
  config_.tls.ca_file.clear();  // the system's
  expect_no_data(config_, "certificate");
}

TEST_F(PrometheusTls, TheNameIsChecked) {
  config_.tls.server_name.clear();
  expect_no_data(config_, "127.0.0.1");
  config_.tls.server_name = "elsewhere.example";
  expect_no_data(config_, "elsewhere.example");
}

TEST_F(PrometheusTls, ChecksCanBeTurnedOff) {
  config_.tls.server_name.clear();
  config_.tls.ca_file.clear();
  config_.tls.insecure_skip_verify = true;
  EXPECT_EQ(evaluate_with(config_).status, Status::ok);
}

TEST_F(PrometheusTls, ClientCertificateMissingOrForeign) {
  config_.tls.cert_file.clear();
  config_.tls.key_file.clear();
  expect_no_data(config_, server_->url());
  config_.tls.cert_file = dir_->path("foreign.pem");
  config_.tls.key_file = dir_->path("foreign.key");
  expect_no_data(config_, server_->url());
}

TEST_F(PrometheusTls, KeyOfAnotherCertificate) {
  config_.tls.key_file = dir_->path("foreign.key");
  expect_no_data(config_, server_->url());
}

TEST_F(PrometheusTls, PlainHttpToATlsPort) {
  config_.url.replace(0, 5, "http");
  expect_no_data(config_, "HTTP 400");
}

TEST(PrometheusBearer, TokenIsCheckedByAProxyAndRotates) {
  const PrometheusServer server;
  const NginxServer proxy(
      fmt::format("    location / {{\n"
                  "      if ($http_authorization != \"Bearer sesame\") {{ return 401; }}\n"
                  "      proxy_pass {};\n    }}\n",
                  server.url()));
  const TempDir dir;
  auto config = config_for("http://" + proxy.address());
  expect_no_data(config, "HTTP 401");
  config.bearer_token_file = dir.write("token", "yesterday\n");
  auto evaluator = make_prometheus_evaluator(config);
  ASSERT_TRUE(evaluator) << evaluator.error().message;
  EXPECT_THAT((*evaluator)->evaluate(always_true()).detail, HasSubstr("HTTP 401"));
  EXPECT_EQ((*evaluator)->check_query(always_true()).error().kind, ErrorKind::unavailable);
  dir.write("token", "sesame\n");
  const Evaluation evaluation = (*evaluator)->evaluate(always_true());
  EXPECT_EQ(evaluation.status, Status::ok) << evaluation.detail;
}

TEST(PrometheusProxy, RedirectsAndBadGateways) {
  const NginxServer proxy(
      fmt::format("    location /moved {{ return 302 http://elsewhere.example/; }}\n"
                  "    location / {{ proxy_pass http://127.0.0.1:{}; }}\n",
                  free_port()));
  expect_no_data(config_for("http://" + proxy.address()), "HTTP 502");
  expect_no_data(config_for("http://" + proxy.address() + "/moved"),
                 "redirects to http://elsewhere.example/");
}

}  // namespace
}  // namespace holdfast::verify::e2e
