#!/bin/bash
# What ping, curl and dig see of a latency, and what becomes of it when the process that delays stops or dies.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
: "${HOLDFAST:=$E2E_ROOT/build/bin/holdfast}"

readonly OUT=$E2E_OUT
readonly SERVER=10.77.0.11 SERVER6=fd77::11

# The least round trip of 20, in microseconds: what nothing but the fault explains.
least_ping() {
  in_lab client ping -q -c 20 -i 0.05 "$1" | sed -nE 's|^rtt min/avg/max/mdev = ([0-9.]+)/.*|\1|p' |
    awk '{ printf "%d\n", $1 * 1000 }'
}

# expect_at_least WHAT LEAST FOUND
expect_at_least() { (($3 >= $2)) || fail "$1" "at least $2 was expected, $3 found"; }

readonly BOTH="{addresses: [$SERVER, \"$SERVER6\"], direction: both}"

test_ping_curl_and_dig_see_what_the_plan_says() {
  local before least
  lab up
  before=$(host_state client)
  expect_at_least "a delay that is more than what there is" "$(least_ping $SERVER)" 40000
  start_client_run latency '{addresses: [10.77.0.11, "fd77::11", 10.77.0.5], direction: both}' '{delay: 40ms, of: roundTrip}'
  expect_at_least "ping" 40000 "$(least_ping $SERVER)"
  expect_at_least "ping over IPv6" 40000 "$(least_ping $SERVER6)"
  # One round trip to open the connection, one for the request.
  least=$(in_lab client curl -s -o /dev/null -w '%{time_connect} %{time_starttransfer}' "http://$SERVER:8080/" |
    awk '{ printf "%d %d\n", $1 * 1e6, $2 * 1e6 }')
  expect_at_least "curl, to connect" 40000 "${least% *}"
  expect_at_least "curl, to the first byte" 80000 "${least#* }"
  # Its clock may be one that moves with the tick, each 10 ms at most.
  expect_at_least "dig" 30 "$(in_lab client dig +tries=1 +time=5 @10.77.0.5 api.shop.test | sed -nE 's/^;; Query time: ([0-9]+) msec/\1/p')"
  interrupt_client_run
  expect_eq "the report" "true 0.02 0 0" "$(jq -r '.actions[0] | "\(.proven) \(.delay.requestedMean) \(.counters.undelayedPackets) \(.counters.droppedPackets)"' "$OUT/report.json")"
  # The least is of a packet that left early when the run was ended; quantiles are exact to 1 in 128.
  expect_eq "the delays that it measured" true \
    "$(jq '.actions[0].delay | .median >= 0.0198 and .packets >= 80' "$OUT/report.json")"
  expect_host "$before" client
}

test_on_clsact() {
  RUN_OPTIONS=(--mechanism clsact)
  test_ping_curl_and_dig_see_what_the_plan_says
}

# 10 pings in each tenth of a second: more than a few tenths would be missing if they waited for the lease.
test_a_stopped_line_is_passed_by() {
  local received before
  lab up
  before=$(host_state client)
  start_client_run latency "$BOTH" '{delay: 20ms, of: direction}'
  stop_process "$RUN"
  received=$(in_lab client ping -q -c 100 -i 0.01 -W 1 $SERVER | sed -nE 's/.* ([0-9]+) received.*/\1/p')
  expect_at_least "pings that came back past the stopped line" 60 "$received"
  kill -CONT "$RUN"
  interrupt_client_run
  expect_eq "packets that it did not delay" true "$(jq '.actions[0].counters.undelayedPackets > 50' "$OUT/report.json")"
  expect_host "$before" client
}

_is_reachable() { in_lab client ping -q -c 1 -W 1 $SERVER >/dev/null; }

test_a_killed_line_takes_its_device_along() {
  local before
  lab up
  before=$(host_state client)
  start_client_run latency "$BOTH" '{delay: 1m, of: direction}'
  expect_match "the line's device" holdfast "$(in_lab client ip -o link)"
  kill -KILL "$RUN"
  wait_for 10 "the server to be reachable" _is_reachable
  expect_host "$before" client
}

test_loopback_alone_is_refused() {
  local status=0
  lab up
  client_plan latency '{}' '{delay: 1s}' | sed 's/netns: hf-.*-client}/netns: hf-'"$HOLDFAST_LAB"'-client, interface: lo}/' \
    >"$E2E_TMP/plan.yaml"
  "$HOLDFAST" run "$E2E_TMP/plan.yaml" --output "$OUT" >"$E2E_TMP/log" 2>&1 || status=$?
  expect_eq "exit code" 2 "$status"
  expect_match "what is said" "over loopback can't be handed to the delay line" "$(<"$E2E_TMP/log")"
}

run_case "$@"
