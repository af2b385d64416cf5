#!/bin/bash
# That every benchmark can be run, says all it should, and leaves the host as it was. No figure is judged here: times on a
# shared machine prove nothing. ctest runs each case by name (tests/bench/CMakeLists.txt).
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../e2e/lib.sh"

bench() { "$HOLDFAST_BENCH" --holdfast "$HOLDFAST" --output "$E2E_TMP/out" "$@"; }

# results QUERY – of the JSON file.
results() { jq -r "$1" "$E2E_TMP/out/results.json"; }

test_short() {
  local before
  before=$(settled_host_state)
  bench --short
  expect_host "$before"
  expect_eq "all benchmarks are in the results" "$(bench --list)" "$(results '.benchmarks[].name')"
  expect_eq "every figure has its samples and statistics" 0 "$(results '[.benchmarks[].figures[]
    | select((.samples | length) == 0 or (.samples | length) != .count
        or ([.min, .p10, .median, .p90, .p99, .max] | any(type != "number")))] | length')"
  expect_eq "every figure with a target says whether it is met" 0 "$(results '[.benchmarks[].figures[]
    | select((.target == null) != (.met == null))] | length')"
  expect_eq "each benchmark has a figure with a target" 0 "$(results '[.benchmarks[]
    | select([.figures[] | select(.target)] == [])] | length')"
  expect_eq "the machine is described" 0 "$(results '[.machine
    | .cpu_model, .cpus, .kernel, .date, .command, .commit | select(. == null or . == "")] | length')"
  expect_match "the table says which figures were measured" 'Ctrl-C to the last packet dropped' \
    "$(cat "$E2E_TMP/out/results.md")"
}

# Namespaces, rules, programs and processes of a benchmark go with it however it ends.
test_killed() {
  local before pid name
  before=$(settled_host_state)
  for name in udp-send stop-latency; do
    # Not by bench(): $! would be a shell's around it.
    "$HOLDFAST_BENCH" --holdfast "$HOLDFAST" --output "$E2E_TMP/out" "$name" >"$E2E_TMP/log" 2>&1 &
    pid=$!
    E2E_PIDS+=("$pid")
    wait_for 30 "the programs of $name" _holdfast_loaded
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null || true
    wait_for 10 "the end of what $name started" _nobody_works_in "$E2E_TMP/out"
    expect_host "$before"
  done
}

_holdfast_loaded() { bpftool -j prog show | jq -e 'any(.name == "hf_egress")' >/dev/null; }
_nobody_works_in() { ! pgrep --full -- "$1" >/dev/null; }

run_case "$@"
