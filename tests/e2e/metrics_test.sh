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

listening() { in_lab client ss -Hltn "sport = :${ADDRESS##*:}"; }

start_run() { # ADDRESS [OPTION…]
  sed "s/hf-lab-/hf-$HOLDFAST_LAB-/g" "${PLAN:-$E2E_ROOT/experiments/quickstart.yaml}" >"$E2E_TMP/plan.yaml"
  env --default-signal=INT nsenter --net="/run/netns/hf-$HOLDFAST_LAB-client" -- \
    "$HOLDFAST" run "$E2E_TMP/plan.yaml" --output "$E2E_TMP/out" --metrics "$@" >"$E2E_TMP/log" 2>&1 </dev/null &
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

follow_a_run() { # MECHANISM
  local dropped run
  lab up
  start_run "$ADDRESS" --mechanism "$1"
  wait_for 60 "the fault to be active" _is holdfast_action_active 1
  wait_for 60 "packets to be dropped" _above holdfast_action_dropped_packets_total 0
  dropped=$(value holdfast_action_dropped_packets_total)
  wait_for 60 "more packets to be dropped" _above holdfast_action_dropped_packets_total "$dropped"
  expect_eq "interfaces of the edge" 2 "$(value "holdfast_agent_attached_interfaces{mechanism=\"$1\"}")"
  scrape >"$E2E_TMP/metrics"
  promtool check metrics <"$E2E_TMP/metrics" || fail "promtool check metrics" "$(<"$E2E_TMP/metrics")"
  dropped=$(value holdfast_action_dropped_packets_total)
  end_run
  expect_eq "nobody listens after the run" "" "$(listening)"
  run=$(jq -r .runId "$E2E_TMP/out/report.json")
  expect_match "the run is a label" "holdfast_action_active\{run=\"$run\"," "$(<"$E2E_TMP/metrics")"
  ((dropped <= $(jq '.actions[0].counters.droppedPackets' "$E2E_TMP/out/report.json"))) ||
    fail "$dropped dropped packets were scraped, more than the report has"
}

test_follow_a_run() { follow_a_run tcx; }

# A process of the agent's own watches over its filters: it must not keep the port.
test_follow_a_run_on_clsact() { follow_a_run clsact; }

# The counters of a fault that is over stay where they are, until the run is over: here another action goes on.
test_keep_the_counters_after_the_fault() {
  local dropped
  lab up
  # Five seconds of the fault, a minute of nothing beside it.
  sed -E 's/^( +)duration: 15s.*/\1duration: 5s/; /^  recovery:/i\    - {name: go on, fault: noop, duration: 60s, target: {netns: hf-lab-edge}, match: {protocol: tcp}}' \
    "$E2E_ROOT/experiments/quickstart.yaml" >"$E2E_TMP/longer.yaml"
  PLAN=$E2E_TMP/longer.yaml start_run "$ADDRESS"
  wait_for 60 "packets to be dropped" _above holdfast_action_dropped_packets_total 0
  dropped=$(value holdfast_action_dropped_packets_total)
  wait_for 60 "the fault to be removed" _is holdfast_agent_faults_removed_total 1
  expect_eq "the fault is over" 0 "$(value holdfast_action_active)"
  _above holdfast_action_dropped_packets_total "$((dropped - 1))" || fail "fewer were dropped than before"
  end_run
}

test_refuse_what_they_can_not_serve() {
  local status=0 output address
  lab up
  for address in 9464 0.0.0.0:0 ::1:9464 localhost 192.0.2.1:9464; do
    status=0
    start_run "$address"
    wait "$RUN" || status=$?
    output=$(<"$E2E_TMP/log")
    expect_eq "exit code with --metrics $address" 2 "$status"
    expect_match "the address is named" "$address" "$output"
    expect_match "a cure" cure "$output"
  done
}

test_warn_where_everybody_can_reach_them() {
  lab up
  start_run "0.0.0.0:${ADDRESS##*:}"
  wait_for 60 "the metrics" scrape
  end_run
  expect_match "a warning" 'without authentication' "$(<"$E2E_TMP/log")"
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
