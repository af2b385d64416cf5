#!/usr/bin/env bash
# What doctor says on the machine that runs the tests, and that it leaves no trace there.
# shellcheck source=tests/e2e/cli/lib.sh
source "$(dirname "$0")/lib.sh"

# An ordinary user is told in one line what is wrong, and what to do.
run_as_nobody "$holdfast" doctor
expect_code 2 'doctor as nobody'
expect_no_err 'doctor as nobody'
expect_no_crash 'doctor as nobody'
expect_out 'run it as root'
[[ $(grep -c '^missing' <<<"$out") -eq 1 ]] || fail 'one line says what is missing'
[[ $(tail -n 1 <<<"$out") == "verdict: this node can't inject: not root (uid "* ]] || fail 'verdict for nobody'
if [[ $out == *$'\033'* ]]; then
  fail 'colours although standard output is no terminal'
fi
run_as_nobody "$holdfast" doctor --json
expect_code 2 'doctor --json as nobody'
jq -e '.schema == "holdfast.doctor/v1" and (.can_inject | not) and .faults == []
  and ([.findings[] | select(.status == "missing") | .id] == ["privileges"])' <<<"$out" >/dev/null ||
  fail 'doctor --json as nobody'

# Root of a user namespace has every capability there, and none that counts.
if unshare -Ur true 2>/dev/null; then
  run unshare -Ur "$holdfast" doctor
  expect_code 2 'doctor in a user namespace'
  expect_out 'user namespace'
fi

if [[ $(id -u) -ne 0 ]]; then
  finish
  echo 'not root: the rest is skipped'
  exit 77
fi

# In a network namespace of its own, where nobody else changes anything meanwhile.
look() {
  ip -o link show
  tc qdisc show
  tc filter show dev lo ingress 2>/dev/null || true
  tc filter show dev lo egress 2>/dev/null || true
  ip netns list
}
export -f look
# shellcheck disable=SC2016 # expanded by the inner shell
run unshare -n bash -c '
  set -euo pipefail
  work=$1 holdfast=$2
  look >"$work/before"
  "$holdfast" doctor --json
  look >"$work/after"' _ "$work" "$holdfast"
expect_code 0 'doctor as root'
expect_no_err 'doctor as root'
jq -e '.can_inject and (.mechanism == "tcx" or .mechanism == "clsact") and (.faults | index("dns"))
  and (.findings | all(.id != "" and (.status == "ok" or (.consequence != "" and .cure != ""))))' \
  <<<"$out" >/dev/null || fail 'doctor --json as root'
diff "$work/before" "$work/after" >&2 || fail 'doctor changed its network namespace'

# Programs, maps and links are freed a moment after they are closed.
trials_left() {
  { bpftool prog show; bpftool map show; } 2>/dev/null | grep -w holdfast_trial || true
}
for ((attempt = 0; attempt < 100; attempt++)); do
  [[ -n $(trials_left) ]] || break
  sleep 0.1
done
[[ -z $(trials_left) ]] || fail "left behind: $(trials_left)"

run "$holdfast" doctor
expect_code 0 'doctor as root'
expect_out "$(printf 'ok        %-18s' privileges)"
verdict='verdict: this node can inject all faults by '
[[ $(tail -n 1 <<<"$out") == "$verdict"* ]] || fail 'verdict for root'
finish
