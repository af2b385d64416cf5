# shellcheck shell=bash
# What the end-to-end tests share: a lab of their own, checks that say what was found, the state of the host. Sourced.
#
# A test file lists its cases as functions test_NAME and ends with `run_case "$@"`: ctest runs each by name, on a lab
# whose name (HOLDFAST_LAB) it made unique, so that tests run beside each other and beside a user's own lab.

E2E_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
: "${HOLDFAST_LAB:=test}"
export HOLDFAST_LAB
E2E_TMP=$(mktemp -d)

lab() { "$E2E_ROOT/scripts/lab" "$@"; }
# in_lab PART CMD… – without the lab's own /etc/resolv.conf, and without anything that could hide a failure.
in_lab() { nsenter --net="/run/netns/hf-$HOLDFAST_LAB-$1" -- "${@:2}"; }

fail() {
  printf 'FAILED: %s\n' "$1" >&2
  [[ -z ${2:-} ]] || printf '%s\n' "$2" >&2
  exit 1
}

expect_eq() { # WHAT EXPECTED FOUND
  [[ $2 == "$3" ]] || fail "$1" "$(diff <(printf '%s\n' "$2") <(printf '%s\n' "$3") --label expected --label found -u)"
}

expect_match() { # WHAT REGEX FOUND
  [[ $3 =~ $2 ]] || fail "$1" "expected to match: $2"$'\n'"found: $3"
}

# wait_for SECONDS WHAT CMD… – polls; fails the test when CMD has not succeeded by then.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS < deadline)) || fail "waited in vain for: $what"
    sleep 0.1
  done
}

# Everything that Holdfast or the lab could leave behind in one network namespace ("host", or one of the lab's parts).
# Counters and ages are left out, they move by themselves.
namespace_state() {
  local part=$1 run=() device
  [[ $part == host ]] || run=(in_lab "$part")
  echo "## $part: links"
  "${run[@]}" ip -o link | sed -E 's/ (state|qlen) [^ ]+//g'
  echo "## $part: addresses"
  "${run[@]}" ip -o addr show scope global | sed -E 's/ +(valid|preferred)_lft.*//'
  echo "## $part: qdiscs and filters"
  "${run[@]}" tc qdisc
  for device in $("${run[@]}" ip -o link | awk -F'[:@ ]+' '{ print $2 }'); do
    for hook in ingress egress; do
      "${run[@]}" tc filter show dev "$device" "$hook" 2>/dev/null || true
    done
  done
  echo "## $part: nftables"
  "${run[@]}" nft list ruleset
}

# Of the host: its own namespace, and of the lab's parts that are named; for a test that runs alone (E2E_ALONE=yes)
# also the BPF programs of all namespaces, listening sockets and the list of namespaces, where others would be seen.
host_state() {
  local part
  namespace_state host
  if [[ ${E2E_ALONE:-yes} == yes ]]; then
    echo "## BPF programs"
    bpftool -j prog show | jq -r '.[] | [.id, .type, .name // "-", .tag] | @tsv'
    echo "## listening sockets"
    ss -H -ltun | awk '{ print $1, $5 }' | sort
    echo "## namespaces"
    ip netns list | awk '{ print $1 }' | sort
  fi
  for part in "$@"; do
    namespace_state "$part"
  done
}

# The same, once it stands still: the kernel frees what an earlier test used a little after its end.
settled_host_state() {
  local before after tries
  after=$(host_state "$@")
  for ((tries = 0; tries < 20; tries++)); do
    before=$after
    sleep 0.2
    after=$(host_state "$@")
    [[ $before != "$after" ]] || break
  done
  echo "$after"
}

_host_is() { [[ $(host_state "${@:2}") == "$1" ]]; }

# expect_host BEFORE PART… – the host looks as it did; the kernel has 3 seconds to free what is gone.
expect_host() {
  local deadline=$((SECONDS + 3))
  until _host_is "$@"; do
    ((SECONDS < deadline)) || expect_eq "the host is as it was before" "$1" "$(host_state "${@:2}")"
    sleep 0.1
  done
}

_stands_still() { ! cat "/proc/$1"/task/*/status | grep '^State:' | grep -qv '^State:[[:space:]]*T'; }

# stop_process PID – SIGSTOP; returns when all of its threads stand still.
stop_process() {
  kill -STOP "$1"
  wait_for 10 "process $1 to stop" _stands_still "$1"
}

# client_plan FAULT MATCH PARAMETERS – a plan of one action on the lab's client, long enough for every test.
client_plan() {
  cat <<YAML
apiVersion: holdfast/v1
kind: Experiment
metadata: {name: what-clients-see}
spec:
  prometheus: {url: "http://10.77.0.5:9090", netns: hf-$HOLDFAST_LAB-mon}
  steadyStateHypothesis:
    baseline: 0s
    probes: [{name: the edge is up, type: prometheus, query: 'up{job="haproxy"}', tolerance: ">= 1"}]
  method:
    - name: what the client meets
      fault: $1
      duration: 2m
      target: {netns: hf-$HOLDFAST_LAB-client}
      match: $2
      $1: $3
YAML
}

readonly E2E_OUT=$E2E_TMP/out
RUN='' RUN_OPTIONS=()

# start_client_run FAULT MATCH PARAMETERS – returns when the fault is injected. The run's pid is in RUN, its report goes
# to E2E_OUT, its output to E2E_TMP/log; RUN_OPTIONS are given to it.
start_client_run() {
  client_plan "$@" >"$E2E_TMP/plan.yaml"
  env --default-signal=INT "$HOLDFAST" run "$E2E_TMP/plan.yaml" --output "$E2E_OUT" "${RUN_OPTIONS[@]}" \
    >"$E2E_TMP/log" 2>&1 </dev/null &
  RUN=$!
  E2E_PIDS+=("$RUN")
  wait_for 30 "the fault to be injected" grep -q ' injected:' "$E2E_TMP/log"
}

interrupt_client_run() {
  local status=0
  kill -INT "$RUN"
  wait "$RUN" || status=$?
  expect_eq "exit code of the run: $(<"$E2E_TMP/log")" 5 "$status"
}

# What a case started besides its lab, to be ended with it.
E2E_OTHER_LABS=() E2E_PIDS=()
# A function that removes what a test file makes besides.
E2E_CLEAN_UP=:

# A test never leaves anything behind, however it ends.
_end_test() {
  local status=$? name pid
  trap - EXIT
  for pid in "${E2E_PIDS[@]}"; do
    kill "$pid" 2>/dev/null || true
  done
  for name in "$HOLDFAST_LAB" "${E2E_OTHER_LABS[@]}"; do
    lab --name "$name" down >/dev/null 2>&1 || echo "the lab $name could not be removed" >&2
  done
  "$E2E_CLEAN_UP"
  rm -rf "$E2E_TMP"
  exit "$status"
}

run_case() {
  ((EUID == 0)) || fail "needs root"
  [[ $(declare -F "test_${1:-}") ]] || fail "no such case: ${1:-}" "$(declare -F | sed -n 's/.* test_/  /p')"
  trap _end_test EXIT
  trap 'exit 130' INT TERM
  "test_$1"
  echo "passed: $1"
}
