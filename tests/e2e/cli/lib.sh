# shellcheck shell=bash
# What the tests of the command line share. Source it first: it makes $work (a folder of the test's own, removed at
# exit), copies the program there so that an ordinary user can run it, and defines the checks.
set -euo pipefail

: "${HOLDFAST:?path of the holdfast program}"
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
install -m 755 "$HOLDFAST" "$work/holdfast"
# shellcheck disable=SC2034 # for those who source this
holdfast=$work/holdfast
failures=0

# The outcome of the last `run`.
code=0 out='' err=''

# run COMMAND... : keeps its exit code, standard output and standard error. The time limit is a backstop against a
# hang, not a figure.
run() {
  code=0
  timeout 120 "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
  out=$(tr -d '\0' <"$work/out")
  err=$(tr -d '\0' <"$work/err")
}

# The same as an ordinary user, whoever runs the test.
run_as_nobody() {
  if [[ $(id -u) -eq 0 ]]; then
    run setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "$@"
  else
    run "$@"
  fi
}

fail() {
  failures=$((failures + 1))
  printf 'FAILED: %s\n  exit code: %s\n  stdout: %s\n  stderr: %s\n' \
    "$1" "$code" "${out:0:2000}" "${err:0:2000}" >&2
}

expect_code() { [[ $code -eq $1 ]] || fail "$2: exit code $1 expected"; }
expect_out() { [[ $out == *"$1"* ]] || fail "standard output should have: $1"; }
expect_err() { [[ $err == *"$1"* ]] || fail "standard error should have: $1"; }
expect_no_out() { [[ -z $out ]] || fail "$1: standard output should be empty"; }
expect_no_err() { [[ -z $err ]] || fail "$1: standard error should be empty"; }
# What nobody may ever see, whatever they typed.
expect_no_crash() {
  if ((code >= 70)) || [[ $err == *"internal error"* || $err == *Sanitizer* || $err == *"terminate called"* ]]; then
    fail "$1: a crash"
  fi
}

finish() {
  if ((failures > 0)); then
    echo "$failures failed" >&2
    exit 1
  fi
  echo "passed"
}
