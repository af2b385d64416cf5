#include "tests/e2e/prometheus/certificates.h"

#include <crypt.h>
#include <fmt/format.h>

#include <stdexcept>

namespace holdfast::verify::e2e {
namespace {

// As cheap as bcrypt gets: the server pays it for every new connection.
constexpr unsigned long kBcryptCost = 4;

std::string bcrypt(const std::string& password) {
  char salt[CRYPT_GENSALT_OUTPUT_SIZE];
  crypt_data data{};
  if (::crypt_gensalt_rn("$2b$", kBcryptCost, nullptr, 0, salt, sizeof(salt)) == nullptr) {
    throw std::runtime_error("this libcrypt has no bcrypt");
  }
  return ::crypt_r(password.c_str(), salt, &data);
}

// An EC key and a request for it; what is signed, and by whom, is up to `more`.
void openssl_req(const TempDir& dir, const std::string& name, std::vector<std::string> more) {
  // Its own, almost empty configuration: the system's adds extensions of its own.
  const std::string config =
      dir.write("openssl.cnf", "[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nCN = test\n");
  std::vector<std::string> command{"openssl",
                                   "req",
                                   "-x509",
                                   "-config",
                                   config,
                                   "-newkey",
                                   "ec",
                                   "-pkeyopt",
                                   "ec_paramgen_curve:prime256v1",
                                   "-noenc",
                                   "-days",
                                   "2",
                                   "-subj",
                                   "/CN=" + name,
                                   "-keyout",
                                   dir.path(name + ".key"),
                                   "-out",
                                   dir.path(name + ".pem")};
  command.insert(command.end(), more.begin(), more.end());
  run(command, dir);
}

}  // namespace

void make_authority(const TempDir& dir, const std::string& name) {
  openssl_req(dir, name,
              {"-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign"});
}

void make_certificate(const TempDir& dir, const std::string& authority, const std::string& name,
                      const std::string& subject_alt_name) {
  openssl_req(
      dir, name,
      {"-CA", dir.path(authority + ".pem"), "-CAkey", dir.path(authority + ".key"), "-addext",
       "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=" + subject_alt_name});
}

std::string write_web_config(const TempDir& dir, const std::string& clients,
                             const std::string& user, const std::string& password) {
  return dir.write("web.yml", fmt::format("tls_server_config:\n"
                                          "  cert_file: {}\n"
                                          "  key_file: {}\n"
                                          "  client_auth_type: RequireAndVerifyClientCert\n"
                                          "  client_ca_file: {}\n"
                                          "basic_auth_users:\n"
                                          "  {}: {}\n",
                                          dir.path("server.pem"), dir.path("server.key"),
                                          dir.path(clients + ".pem"), user, bcrypt(password)));
}

}  // namespace holdfast::verify::e2e
