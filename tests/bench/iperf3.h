// TCP between the ends of a test network, as iperf3 measures it.
#pragma once

#include <filesystem>

#include "tests/support/child_process.h"
#include "tests/support/test_network.h"

namespace holdfast::bench {

class Iperf3 {
 public:
  // A server at far. Files go to `work`. `network` outlives it.
  static Result<Iperf3> start(const test::TestNetwork& network, std::filesystem::path work);

  struct Throughput {
    double bits_per_second = 0;  // that far's application received
    double retransmits = 0, sent_bytes = 0;
  };
  // From near to far, after a second that does not count. Errors: internal.
  Result<Throughput> run(int flows, int seconds) const;

 private:
  Iperf3(const test::TestNetwork& network, std::filesystem::path work, test::ChildProcess server)
      : network_(network), work_(std::move(work)), server_(std::move(server)) {}
  const test::TestNetwork& network_;
  std::filesystem::path work_;
  test::ChildProcess server_;
};

}  // namespace holdfast::bench
