#!/usr/bin/env bash
# Standard streams that are closed, full, or that nobody reads.
# shellcheck source=tests/e2e/cli/lib.sh
source "$(dirname "$0")/lib.sh"

# A reader that went away is no failure, and no reason for a message. Here it is gone before the first byte: the pipe's
# only reading end is closed again.
mkfifo "$work/pipe"
exec 3<>"$work/pipe"
exec 4>"$work/pipe"
exec 3<&-
for command in --help version 'help run' 'doctor --json --help'; do
  run bash -c "exec >&4; exec \"\$0\" $command" "$holdfast"
  expect_code 0 "$command into a pipe that nobody reads"
  expect_no_err "$command into a pipe that nobody reads"
done
exec 4>&-

# Closed from the start: the first file that is opened must not become standard output.
for closed in '>&-' '2>&-' '<&-' '<&- >&- 2>&-'; do
  run bash -c "exec $closed; exec \"\$0\" version" "$holdfast"
  expect_code 0 "version $closed"
  expect_no_err "version $closed"
done
cat >"$work/plan.yaml" <<'YAML'
kind: Experiment
YAML
sum=$(cksum <"$work/plan.yaml")
run bash -c "exec >&-; exec \"\$0\" validate --json \"\$1\"" "$holdfast" "$work/plan.yaml"
expect_code 2 'validate >&-'
[[ $(cksum <"$work/plan.yaml") == "$sum" ]] || fail 'output went into the plan'

# A full disk is said, and is no success.
if [[ -w /dev/full ]]; then
  for command in version --help; do
    run bash -c "exec >/dev/full; exec \"\$0\" $command" "$holdfast"
    expect_code 74 "$command >/dev/full"
    expect_err 'standard output'
  done
fi

# No colours where they were not asked for, and NO_COLOR is fine with everything.
run env NO_COLOR=1 "$holdfast" doctor --no-color
[[ $out != *$'\033'* ]] || fail 'colours although NO_COLOR is set'
if command -v script >/dev/null; then
  # On a terminal there are colours, unless they are unwanted.
  on_terminal() { TERM=xterm script -qec "$1" /dev/null </dev/null | tr -d '\r' || true; }
  out=$(on_terminal "$holdfast doctor")
  [[ $out == *$'\033[3'* || $out == *$'\033[1;3'* ]] || fail 'no colours on a terminal'
  for unwanted in "env NO_COLOR=1 $holdfast doctor" "env TERM=dumb $holdfast doctor" "$holdfast doctor --no-color"; do
    out=$(on_terminal "$unwanted")
    [[ $out != *$'\033'* ]] || fail "colours: $unwanted"
  done
fi
finish
