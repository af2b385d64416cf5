#!/usr/bin/env bash
# Command lines that are wrong: exit code 2, one message that names the cure, nothing on standard output.
# shellcheck source=tests/e2e/cli/lib.sh
source "$(dirname "$0")/lib.sh"

# refused WORDS... -- EXPECTED... : `holdfast WORDS` is refused, and its message has each EXPECTED.
refused() {
  local words=() expected
  while [[ $1 != '--' ]]; do
    words+=("$1")
    shift
  done
  shift
  run "$holdfast" "${words[@]}"
  expect_code 2 "holdfast ${words[*]}"
  expect_no_out "holdfast ${words[*]}"
  expect_no_crash "holdfast ${words[*]}"
  for expected in "$@"; do
    expect_err "$expected"
  done
}

refused -- 'usage: holdfast COMMAND' 'validate'
refused valdate plan.yaml -- 'holdfast: unknown command "valdate"' 'cure: did you mean "validate"?'
refused frobnicate -- 'unknown command "frobnicate"' '--help` lists the commands'
refused '' -- 'unknown command ""'
refused --versoin -- 'unknown option "--versoin"' 'did you mean "--version"?'
refused validate -- 'FILE is missing' 'usage: holdfast validate [OPTIONS] FILE...'
refused validate --jsno x.yaml -- 'unknown option "--jsno"' 'did you mean "--json"?'
refused validate --js x.yaml -- 'unknown option "--js"'
refused validate -j x.yaml -- 'unknown option "-j"'
refused doctor everything -- 'unexpected argument "everything"'
refused version --json=yes -- "'--json'"
refused version --json --json -- 'more than once'
refused run -- 'FILE is missing'
refused explain -- 'FILE is missing'
refused help nothing -- 'there is no command "nothing"'
refused completion tcsh -- 'holdfast completion bash'
refused run /nonexistent/plan.yaml -- /nonexistent/plan.yaml
refused explain /nonexistent/plan.yaml -- /nonexistent/plan.yaml

# Arguments that are no text are quoted back and refused like any other.
refused $'\xff\xfe' -- 'unknown command'
refused "$(head -c 100000 /dev/zero | tr '\0' x)" -- 'unknown command' 'xxx...'
refused $'\033[2J' -- 'unknown command "?[2J"'

run "$holdfast" --version
expect_code 0 --version
version=$out
run "$holdfast" version
[[ $out == "$version" ]] || fail 'version differs from --version'
expect_out 'libbpf '
expect_out "kernel $(uname -r)"
run "$holdfast" version --json
jq -e '.holdfast and .libbpf and .build_type and .kernel' <<<"$out" >/dev/null || fail 'version --json'
finish
