#!/bin/bash
# What ping and curl see of packets that are doubled, corrupted, overtaken or sent over a slow link, and of a schedule.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
: "${HOLDFAST:=$E2E_ROOT/build/bin/holdfast}"

readonly SERVER=10.77.0.11 SERVER6=fd77::11
readonly MATCH="{addresses: [$SERVER, \"$SERVER6\"], direction: to}"

# run_on_client FAULT PARAMETERS CMD… – what CMD prints while the fault is injected is in SEEN; then the host is clean.
SEEN=''
run_on_client() {
  local before
  lab up
  before=$(host_state client)
  start_client_run "$1" "$MATCH" "$2"
  SEEN=$("${@:3}")
  interrupt_client_run
  expect_host "$before" client
  expect_eq "the fault is proven" true "$(jq -r '.actions[0].proven' "$E2E_OUT/report.json")"
}

ping_server() { in_lab client ping "$@" $SERVER || true; }
ping_both() { ping_server "$@" && { in_lab client ping "$@" $SERVER6 || true; }; }

test_ping_sees_duplicates() {
  run_on_client duplicate '{every: 2}' ping_both -c 11 -i 0.05
  expect_match "over both families" '5 duplicates.*5 duplicates' "${SEEN//$'\n'/ }"
}

test_ping_sees_a_wrong_byte() {
  run_on_client corrupt '{percent: 100%, checksum: mended}' ping_server -c 4 -i 0.2 -p ff -s 200
  expect_match "all come" ' 4 received' "$SEEN"
  expect_match "and none as it was" 'wrong data byte' "$SEEN"
}

test_a_wrong_checksum_is_a_loss() {
  run_on_client corrupt '{percent: 100%}' ping_server -c 5 -i 0.05 -W 1
  expect_match "nobody takes them" ' 0 received' "$SEEN"
}

# Each echo of 1250 bytes takes the link 10 ms; of 20 at once the last one waits for all others.
test_packets_pass_a_link_one_after_the_other() {
  local slowest
  run_on_client bandwidth '{rate: 1mbit, queue: 1MiB}' ping_server -c 20 -l 20 -s 1208
  slowest=$(sed -nE 's|^rtt min/avg/max/mdev = [0-9.]+/[0-9.]+/([0-9]+).*|\1|p' <<<"$SEEN")
  ((slowest >= 190)) || fail "the round trip of the last" "at least 190 ms were expected, $slowest found"
  expect_eq "the rate that was measured" true \
    "$(jq '.actions[0].bandwidth.measuredBitsPerSecond | . > 500000 and . < 2000000' "$E2E_OUT/report.json")"
}

test_others_overtake_what_is_kept_back() {
  run_on_client reorder '{every: 4, delay: 500ms}' ping_server -c 8 -l 8
  expect_eq "the order of the answers" "1 2 3 5 6 7 4 8 " \
    "$(sed -nE 's/.*icmp_seq=([0-9]+) .*/\1/p' <<<"$SEEN" | tr '\n' ' ')"
}

programs() { bpftool -j prog show | jq -r '.[] | select(.name // "" | startswith("hf_")) | .id'; }
_is_lost() { ! in_lab client ping -q -c 1 -W 1 $SERVER >/dev/null; }

test_a_schedule_changes_what_is_there() {
  local before
  lab up
  start_client_run loss "$MATCH" '{percent: {from: 0%, to: 100%, over: 3s, steps: 1}}'
  before=$(programs)
  expect_match "at first all come" ' 5 received' "$(ping_server -q -c 5 -i 0.05)"
  wait_for 20 "everything to be lost" _is_lost
  expect_match "in the end none comes" ' 0 received' "$(ping_server -q -c 3 -i 0.05 -W 1)"
  [[ ${E2E_ALONE:-yes} != yes ]] || expect_eq "the programs are the same" "$before" "$(programs)"
  interrupt_client_run
  expect_match "the report" 'loss 0%, becoming loss 100% over 3s' "$(jq -r '.actions[0].fault' "$E2E_OUT/report.json")"
}

run_case "$@"
