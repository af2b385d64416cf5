#!/bin/bash
# The main job, end to end: `holdfast run` on the lab, its verdicts, and a host that is the same afterwards.
# HOLDFAST names the program under test.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
: "${HOLDFAST:=$E2E_ROOT/build/bin/holdfast}"

readonly PARTS=(net edge a b mon client)
readonly OUT=$E2E_TMP/out
RUN_OPTIONS=()  # further options of `holdfast run`

# A plan whose namespaces are those of this test's lab.
# E2E_SLOW: this machine can't be sure to carry the lab's whole load (an emulated one), so less of it has to be answered.
plan_for_this_lab() {
  sed -e "s/hf-lab-/hf-$HOLDFAST_LAB-/g" -e "${E2E_SLOW:+s/tolerance: \">= 75\"/tolerance: \">= 10\"/}" "$1" >"$E2E_TMP/plan.yaml"
  echo "$E2E_TMP/plan.yaml"
}

report() { jq -r "$1" "$OUT/report.json"; }

# expect_run PLAN VERDICT EXIT_CODE – runs it; checks exit code, verdict, the files, and that nothing is left behind.
expect_run() {
  expect_run_before "$(settled_host_state "${PARTS[@]}")" "$@"
}

# expect_run_before STATE PLAN VERDICT EXIT_CODE – the same, where the host has to look like STATE afterwards.
expect_run_before() {
  local before=$1 plan status=0 log=$E2E_TMP/log
  shift
  plan=$(plan_for_this_lab "$1")
  "$HOLDFAST" run "$plan" --output "$OUT" "${RUN_OPTIONS[@]}" >"$log" 2>&1 </dev/null || status=$?
  cat "$log"
  expect_eq "exit code" "$3" "$status"
  expect_eq "verdict" "$2" "$(report .verdict)"
  expect_host "$before" "${PARTS[@]}"
  [[ -s $OUT/junit.xml && -s $OUT/report.html ]] || fail "junit.xml and report.html belong to every run" "$(ls "$OUT")"
  expect_eq "the plan is named by its hash" "$(sha256sum <"$plan" | cut -d' ' -f1)" "$(report .planSha256)"
  expect_match "the verdict is on the terminal" "$2" "$(cat "$log")"
}

test_held() {
  lab up
  expect_run "$E2E_ROOT/experiments/quickstart.yaml" held 0
  expect_eq "the fault is proven" true "$(report '.actions[0].proven')"
  (($(report '.actions[0].counters.droppedPackets') > 0)) ||
    fail "no packet was dropped"
}

test_breached_without_the_failsafe() {
  lab up --no-failsafe
  expect_run "$E2E_ROOT/experiments/quickstart.yaml" breached 1
  expect_eq "the fault is proven" true "$(report '.actions[0].proven')"
}

test_not_injected_where_no_traffic_flows() {
  lab up
  expect_run "$E2E_ROOT/tests/e2e/plans/not-injected.yaml" not-injected 3
  expect_eq "nothing is proven" false "$(report '.actions[0].proven')"
}

# Stopped (SIGSTOP): it accepts connections and never answers, the worst that it can do.
test_inconclusive_with_prometheus_stopped() {
  local prometheus
  lab up
  prometheus=$(lab status --json | jq -r '.services[] | select(.service == "prometheus").pid')
  stop_process "$prometheus"
  expect_run "$E2E_ROOT/experiments/quickstart.yaml" inconclusive 4
}

# Gone: connections are refused.
test_inconclusive_with_prometheus_gone() {
  local prometheus
  lab up
  prometheus=$(lab status --json | jq -r '.services[] | select(.service == "prometheus").pid')
  kill -KILL "$prometheus"
  expect_run "$E2E_ROOT/experiments/quickstart.yaml" inconclusive 4
}

test_inconclusive_when_prometheus_vanishes_midway() {
  local prometheus
  lab up
  prometheus=$(lab status --json | jq -r '.services[] | select(.service == "prometheus").pid')
  # As soon as the fault is there: the edge holds server a for down.
  (
    wait_for 60 "the edge to miss server a" edge_holds_server_a DOWN
    stop_process "$prometheus"
  ) &
  E2E_PIDS+=($!)
  expect_run "$E2E_ROOT/experiments/quickstart.yaml" inconclusive 4
}

test_inconclusive_without_data() {
  lab up
  expect_run "$E2E_ROOT/tests/e2e/plans/no-data.yaml" inconclusive 4
}

test_inconclusive_when_the_steady_state_does_not_hold() {
  lab up
  expect_run "$E2E_ROOT/tests/e2e/plans/unsteady.yaml" inconclusive 4
  expect_eq "nothing was injected" null "$(report '.actions[0].start')"
}

test_example_noop() {
  lab up
  expect_run "$E2E_ROOT/experiments/noop.yaml" held 0
}

test_example_blackhole() {
  lab up
  expect_run "$E2E_ROOT/experiments/blackhole.yaml" held 0
  expect_eq "the fault is proven" true "$(report '.actions[0].proven')"
}

test_example_refuse() {
  lab up
  expect_run "$E2E_ROOT/experiments/refuse.yaml" held 0
  expect_eq "clients were told" true "$(report '.actions[0].counters.answeredPackets > 0')"
}

test_example_loss() {
  lab up
  expect_run "$E2E_ROOT/experiments/loss.yaml" held 0
}

test_example_dns() {
  lab up
  expect_run "$E2E_ROOT/experiments/dns.yaml" held 0
  expect_eq "the fault is proven" true "$(report '.actions[0].proven')"
}

# held, and proven.
expect_example() { # NAME
  lab up
  expect_run "$E2E_ROOT/experiments/$1.yaml" held 0
  expect_eq "the fault is proven" true "$(report '.actions[0].proven')"
}

test_example_latency() { expect_example latency; }
test_example_bandwidth() { expect_example bandwidth; }
test_example_duplicate() { expect_example duplicate; }
test_example_reorder() { expect_example reorder; }
test_example_corrupt() { expect_example corrupt; }
test_example_ramp() { expect_example ramp; }

edge_holds_server_a() { # UP | DOWN
  in_lab edge curl -sS -m 2 http://10.77.0.2:8405/metrics |
    grep -q "^haproxy_server_status{proxy=\"shop\",server=\"a\",state=\"$1\"} 1"
}

# Starts the quickstart and returns once its fault works; its pid is in RUN.
start_run_and_wait_for_its_fault() {
  local plan
  plan=$(plan_for_this_lab "$E2E_ROOT/experiments/quickstart.yaml")
  # A shell without job control has its background jobs ignore SIGINT.
  env --default-signal=INT "$HOLDFAST" run "$plan" --output "$OUT" "${RUN_OPTIONS[@]}" >"$E2E_TMP/log" 2>&1 </dev/null &
  RUN=$!
  E2E_PIDS+=("$RUN")
  wait_for 60 "the edge to miss server a" edge_holds_server_a DOWN
}

test_interrupted_run_is_aborted_and_clean() {
  local before status=0
  lab up
  before=$(settled_host_state "${PARTS[@]}")
  start_run_and_wait_for_its_fault
  kill -INT "$RUN"
  wait "$RUN" || status=$?
  cat "$E2E_TMP/log"
  expect_eq "exit code" 5 "$status"
  expect_eq "verdict" aborted "$(report .verdict)"
  expect_host "$before" "${PARTS[@]}"
  wait_for 10 "server a to be back" edge_holds_server_a UP
}

# With tcx the fault goes with its process; the next run finds nothing in its way.
test_killed_run_ends_its_fault() {
  local before
  lab up
  before=$(settled_host_state "${PARTS[@]}")
  start_run_and_wait_for_its_fault
  kill -KILL "$RUN"
  wait "$RUN" || true
  expect_host "$before" "${PARTS[@]}"
  wait_for 30 "server a to be back" edge_holds_server_a UP
  expect_run_before "$before" "$E2E_ROOT/tests/e2e/plans/not-injected.yaml" not-injected 3
}

# clsact is what kernels before 6.6 have: filters that stay when their process goes.
with_clsact() {
  RUN_OPTIONS=(--mechanism clsact)
}

edge_link() { in_lab edge ip -o link show type veth | sed -E 's/^[0-9]+: ([^@:]+).*/\1/;q'; }

test_clsact_held_beside_a_foreign_filter() {
  local link
  with_clsact
  lab up
  link=$(edge_link)
  in_lab edge tc qdisc add dev "$link" clsact
  in_lab edge tc filter add dev "$link" egress prio 7 protocol ip u32 match ip dst 192.0.2.1/32 classid 1:1
  expect_run "$E2E_ROOT/experiments/quickstart.yaml" held 0
  expect_match "attached by clsact" '^clsact on ' "$(report '.actions[0].mechanism')"
  expect_match "the foreign filter is still there" 'u32' "$(in_lab edge tc filter show dev "$link" egress)"
}

test_clsact_interrupted_run_is_aborted_and_clean() {
  with_clsact
  test_interrupted_run_is_aborted_and_clean
}

our_filters() { in_lab edge tc filter show dev "$1" egress | grep -F hf_; }

# Killed with SIGKILL, its filters stay; the reaper that it left behind removes them at once.
test_clsact_killed_run_is_reaped() {
  with_clsact
  test_killed_run_ends_its_fault
}

# The whole process group killed, as the kernel's OOM killer does with a cgroup: nobody is left to remove the filters.
# They are inert once the lease is over, and the next run sweeps them.
test_clsact_killed_with_its_reaper_is_swept_by_the_next_run() {
  local before link child
  with_clsact
  lab up
  link=$(edge_link)
  before=$(settled_host_state "${PARTS[@]}")
  start_run_and_wait_for_its_fault
  child=$(pgrep -P "$RUN") || fail "no reaper runs"
  # The reaper first: a stopped parent can't do anything meanwhile.
  stop_process "$RUN"
  kill -KILL "$child"
  kill -KILL "$RUN"
  wait "$RUN" || true
  our_filters "$link" >/dev/null || fail "the filters are gone, so this test shows nothing"
  wait_for 30 "server a to be back" edge_holds_server_a UP
  our_filters "$link" >/dev/null || fail "the filters are gone, so the lease was not what ended the fault"
  expect_run_before "$before" "$E2E_ROOT/tests/e2e/plans/not-injected.yaml" not-injected 3
}

run_case "$@"
