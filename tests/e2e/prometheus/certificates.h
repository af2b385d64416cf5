// A certificate authority for one test, and Prometheus' web configuration that asks for its
// certificates.
#pragma once

#include <string>

#include "tests/e2e/prometheus/servers.h"

namespace holdfast::verify::e2e {

// Writes NAME.pem and NAME.key into `dir`, self-signed.
void make_authority(const TempDir& dir, const std::string& name);

// Writes NAME.pem and NAME.key, signed by `authority`. `subject_alt_name`:
// "DNS:a.example,IP:127.0.0.1".
void make_certificate(const TempDir& dir, const std::string& authority, const std::string& name,
                      const std::string& subject_alt_name);

// Prometheus' --web.config.file: TLS with server.pem, clients of the authority `clients` only, and
// this one user. Returns its path.
std::string write_web_config(const TempDir& dir, const std::string& clients,
                             const std::string& user, const std::string& password);

}  // namespace holdfast::verify::e2e
