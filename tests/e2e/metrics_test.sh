#!/bin/bash
# The agent's own metrics, scraped while a fault is injected.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
: "${HOLDFAST:=$E2E_ROOT/build/bin/holdfast}"

# In the namespace of the lab's clients, so that no two tests meet on one port.
readonly ADDRESS=127.0.0.1:9464
scrape() { in_lab client curl -sS -m 5 "http://$ADDRESS/metrics" 2>/dev/null; }
value() { # METRIC – the first sample's
  scrape | awk -v metric="$1" 'index($1, metric) == 1 { print $NF; exit }'
}
_is() { [[ $(value "$1") == "$2" ]]; }
_above() { awk -v found="$(value "$1")" -v least="$2" 'BEGIN { exit !(found != "" && found + 0 > least + 0) }'; }

start_run() { # ADDRESS
  sed "s/hf-lab-/hf-$HOLDFAST_LAB-/g" "$E2E_ROOT/experiments/quickstart.yaml" >"$E2E_TMP/plan.yaml"
  env --default-signal=INT nsenter --net="/run/netns/hf-$HOLDFAST_LAB-client" -- \
    "$HOLDFAST" run "$E2E_TMP/plan.yaml" --output "$E2E_TMP/out" --metrics "$1" >"$E2E_TMP/log" 2>&1 </dev/null &
  RUN=$!
  E2E_PIDS+=("$RUN")
}

end_run() {
  local status=0
  kill -INT "$RUN"
  wait "$RUN" || status=$?
  cat "$E2E_TMP/log"
  expect_eq "exit code" 5 "$status"
}

test_follow_a_run() {
  local dropped
  lab up
  start_run "$ADDRESS"
  wait_for 60 "the fault to be active" _is holdfast_action_active 1
  wait_for 60 "packets to be dropped" _above holdfast_action_dropped_packets_total 0
  dropped=$(value holdfast_action_dropped_packets_total)
  wait_for 60 "more packets to be dropped" _above holdfast_action_dropped_packets_total "$dropped"
  expect_eq "interfaces of the edge" 2 "$(value holdfast_agent_attached_interfaces)"
  scrape >"$E2E_TMP/metrics"
  promtool check metrics <"$E2E_TMP/metrics" || fail "promtool check metrics" "$(<"$E2E_TMP/metrics")"
  end_run
  ! scrape >/dev/null || fail "the port is still open after the run"
}

test_refuse_what_they_can_not_serve() {
  local status=0 output address
  lab up
  for address in 9464 0.0.0.0:0 192.0.2.1:9464; do
    status=0
    start_run "$address"
    wait "$RUN" || status=$?
    output=$(<"$E2E_TMP/log")
    expect_eq "exit code with --metrics $address" 2 "$status"
    expect_match "the address is named" "$address" "$output"
    expect_match "a cure" cure "$output"
  done
}

# A port that is in use is refused; once the run that has it is over, the next one gets it at once.
test_use_one_port_after_the_other() {
  local status=0 first
  lab up
  start_run "$ADDRESS"
  first=$RUN
  wait_for 60 "the metrics" scrape
  start_run "$ADDRESS"
  wait "$RUN" || status=$?
  expect_eq "exit code of the second" 2 "$status"
  RUN=$first
  end_run
  start_run "$ADDRESS"
  wait_for 60 "the metrics of the next run" scrape
  end_run
}

run_case "$@"
