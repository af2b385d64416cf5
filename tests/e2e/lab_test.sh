#!/bin/bash
# scripts/lab itself: what it starts works, what it removes is gone, and nothing of the host is touched.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

status_of() { lab status --json | jq -r "$1"; }
pids() { lab status --json | jq -r '.services[].pid'; }
running() { kill -0 "$1" 2>/dev/null; }
gone() { ! running "$1"; }

test_works_and_leaves_no_trace() {
  local before up
  before=$(settled_host_state)
  lab up
  up=$(host_state)
  expect_eq "every service works" "ok" "$(status_of '[.services[].health] | unique[]')"
  expect_eq "the host's own links, qdiscs, rules, programs and sockets with the lab up" \
    "$(sed '/^## namespaces/,$d' <<<"$before")" "$(sed '/^## namespaces/,$d' <<<"$up")"

  local answers name
  answers=$(in_lab client curl -sS -m 3 http://10.77.0.2/ http://10.77.0.2/ http://10.77.0.2/ http://10.77.0.2/)
  expect_eq "both servers answer through the edge" $'{"server": "a"}\n{"server": "b"}' "$(sort -u <<<"$answers")"
  expect_match "the edge answers over IPv6" '"server"' "$(in_lab client curl -sS -m 3 'http://[fd77::2]/')"
  for name in edge.shop.test/10.77.0.2 api.shop.test/10.77.0.2 a.shop.test/10.77.0.11 b.shop.test/10.77.0.12; do
    expect_eq "address of ${name%/*}" "${name#*/}" "$(in_lab client dig +short @10.77.0.5 "${name%/*}" A)"
    expect_match "IPv6 address of ${name%/*}" '^fd77::' "$(in_lab client dig +short @fd77::5 "${name%/*}" AAAA)"
  done
  expect_match "other names do not exist" 'NXDOMAIN' "$(in_lab client dig @10.77.0.5 none.shop.test)"
  expect_match "exec resolves the lab's names" '"server": "b"' "$(lab exec client curl -sS -m 3 http://b.shop.test:8080/)"

  lab down
  expect_host "$before"
  [[ ! -e /run/holdfast-lab/$HOLDFAST_LAB ]] || fail "its folder is still there"
}

test_second_up_and_second_down_change_nothing() {
  local before
  expect_match "down without a lab" 'is not up' "$(lab down 2>&1)"
  lab up
  before=$(pids)
  expect_match "the second up says so" 'is up already' "$(lab up 2>&1)"
  expect_eq "the services are the same processes" "$before" "$(pids)"
  lab down
  expect_match "the second down says so" 'is not up' "$(lab down 2>&1)"
  expect_eq "status of no lab" "down" "$(status_of .state || true)"
}

test_up_changes_the_mode() {
  local before after
  lab up
  before=$(lab status --json)
  lab up --no-failsafe
  after=$(lab status --json)
  expect_eq "mode" "no-failsafe" "$(jq -r .mode <<<"$after")"
  expect_eq "only the edge was started again" "haproxy" "$(jq -rn --argjson a "$before" --argjson b "$after" \
    '[$a.services, $b.services] | transpose[] | select(.[0].pid != .[1].pid) | .[0].service')"
}

# What `kill -9` of everything, and of `up` itself, leaves: dead pids, namespaces, a folder.
test_sweeps_what_a_killed_lab_left() {
  local killed pid
  lab up
  mapfile -t killed < <(pids)
  kill -KILL "${killed[@]}"
  for pid in "${killed[@]}"; do
    wait_for 5 "the end of $pid" gone "$pid"
  done
  expect_eq "status tells" "broken" "$(status_of .state || true)"
  lab up
  expect_eq "it is up again" "up" "$(status_of .state)"
}

test_sweeps_what_a_killed_up_left() {
  local starter session=()
  setsid "$E2E_ROOT/scripts/lab" up >/dev/null 2>&1 &
  starter=$!
  wait_for 30 "the first services" test -s "/run/holdfast-lab/$HOLDFAST_LAB/pids/haproxy"
  # The script and whatever it waits for: the session that was made for it.
  mapfile -t session < <(pgrep --session "$starter")
  kill -KILL "$starter" "${session[@]}" 2>/dev/null || true
  wait "$starter" || true
  expect_eq "status tells" "broken" "$(status_of .state || true)"
  lab up
  expect_eq "it is up again" "up" "$(status_of .state)"
}

# A pid in the lab's files that has been given to somebody else since must not be hit.
test_spares_a_recycled_pid() {
  local stranger
  sleep 300 &
  stranger=$!
  E2E_PIDS+=("$stranger")
  lab up
  sed -E "s/^[0-9]+ /$stranger /" -i "/run/holdfast-lab/$HOLDFAST_LAB/pids/load"
  lab down
  running "$stranger" || fail "a process that is not the lab's was killed"
}

test_labs_run_side_by_side() {
  local other=${HOLDFAST_LAB}2 first second
  E2E_OTHER_LABS+=("$other")
  lab up &
  first=$!
  lab --name "$other" up &
  second=$!
  wait "$first" || fail "the first lab did not come up"
  wait "$second" || fail "the second lab did not come up"
  lab --name "$other" down
  expect_eq "the first lab outlives the second" "up" "$(status_of .state)"
}

# Two `up` of one lab at once: one builds, the other waits and finds it done.
test_ups_of_one_lab_wait_for_each_other() {
  local first second log=$E2E_TMP/ups
  lab up >"$log.1" 2>&1 &
  first=$!
  lab up >"$log.2" 2>&1 &
  second=$!
  wait "$first" || fail "the first up failed" "$(cat "$log.1")"
  wait "$second" || fail "the second up failed" "$(cat "$log.2")"
  expect_eq "one of them found it up" "1" "$(cat "$log".? | grep -c 'is up already')"
}

test_failed_up_says_why_and_leaves_nothing() {
  local status=0 output before
  before=$(settled_host_state)
  mkdir -p "$E2E_TMP/bin"
  # A hey that ends at once stands for any service that does.
  printf '#!/bin/sh\necho "no customers today" >&2\nexit 1\n' >"$E2E_TMP/bin/hey"
  chmod -R a+rx "$E2E_TMP"
  output=$(PATH=$E2E_TMP/bin:$PATH lab up 2>&1) || status=$?
  expect_eq "exit code" 1 "$status"
  expect_match "what failed" 'load ended right after its start' "$output"
  expect_match "its log" 'no customers today' "$output"
  expect_match "the cure" 'cure:' "$output"
  expect_host "$before"
}

test_refuses_what_it_does_not_know() {
  local arguments status
  for arguments in "" "upp" "up --frobnicate" "--name ../etc up" "--name UPPER up" "exec nowhere true" "status --xml"; do
    status=0
    # shellcheck disable=SC2086  # several arguments
    lab $arguments >/dev/null 2>&1 || status=$?
    expect_eq "exit code of: lab $arguments" 2 "$status"
  done
}

run_case "$@"
