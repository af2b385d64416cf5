#!/usr/bin/env bash
# Every kind of bad input: exit code 2, a message with the place and the cure, and never a crash.
# shellcheck source=tests/e2e/cli/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$work"

cat >good.yaml <<'YAML'
apiVersion: holdfast/v1
kind: Experiment
metadata: {name: good}
spec:
  prometheus: {url: "http://127.0.0.1:9090"}
  steadyStateHypothesis:
    probes:
      - {name: up, type: prometheus, query: up, tolerance: ">= 1", when: [before, during, after]}
  method:
    - name: cut
      fault: blackhole
      duration: 10s
      target: {interface: lo}
      match: {ports: [443], protocol: tcp}
      blackhole: {how: drop}
  recovery: {within: 30s}
YAML

# bad FILE EXPECTED... : the file is refused, with its name and each EXPECTED in the message.
bad() {
  local file=$1 expected
  shift
  run_as_nobody "$holdfast" validate "$file"
  expect_code 2 "$file"
  expect_no_out "$file"
  expect_no_crash "$file"
  expect_err "$file"
  for expected in "$@"; do
    expect_err "$expected"
  done
  # The same for machines.
  run_as_nobody "$holdfast" validate --json "$file"
  expect_code 2 "$file --json"
  expect_no_err "$file --json"
  jq -e --arg file "$file" '.[0] | .file == $file and (.valid | not) and (.diagnostics | length > 0)
    and (.diagnostics | all(.message != "" and .line >= 0 and .column >= 0))' <<<"$out" >/dev/null ||
    fail "$file: --json"
}

# edit NAME SED : a copy of the good plan with one thing changed.
edit() {
  sed "$2" good.yaml >"$1"
  if cmp -s good.yaml "$1"; then
    fail "the test's edit of $1 changed nothing"
  fi
}

run_as_nobody "$holdfast" validate good.yaml
expect_code 0 good.yaml
[[ $out == 'good.yaml: valid (1 probe, 1 action)' ]] || fail 'good.yaml'
expect_no_err good.yaml
run_as_nobody "$holdfast" validate --json good.yaml
expect_code 0 'good.yaml --json'
jq -e '.[0] | .valid and .name == "good" and .probes == 1 and .actions == 1 and .diagnostics == []' \
  <<<"$out" >/dev/null || fail 'good.yaml --json'

# Files that can't be read as a plan.
bad missing.yaml
mkdir folder.yaml
bad folder.yaml
cp good.yaml secret.yaml
chmod 000 secret.yaml
[[ $(id -u) -ne 0 ]] || chown 0:0 secret.yaml
bad secret.yaml
: >empty.yaml
bad empty.yaml
{ yes '# padding' || true; } | head -c 10485760 >large.yaml
bad large.yaml
head -c 4096 /dev/urandom >random.yaml
bad random.yaml
printf 'apiVersion: holdfast/v1\0kind: Experiment\n' >nul.yaml
bad nul.yaml
printf 'kind: [Experiment\n  name: {{{ "\n' >broken.yaml
bad broken.yaml
printf 'just some words\n' >words.yaml
bad words.yaml
printf -- '- a\n- list\n' >list.yaml
bad list.yaml
{
  printf 'a0: &a0 [x, x, x, x, x, x, x, x, x]\n'
  for level in 1 2 3 4 5 6 7 8 9; do
    previous=$((level - 1))
    printf 'a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n' "$level" "$level" \
      "$previous" "$previous" "$previous" "$previous" "$previous" "$previous" "$previous" "$previous" "$previous"
  done
} >bomb.yaml
bad bomb.yaml
head -c 100000 /dev/zero | tr '\0' '[' >deep.yaml
bad deep.yaml

# Plans that are YAML, and wrong. Line numbers are those of good.yaml.
edit unknown-key.yaml 's/duration:/duraton:/'
bad unknown-key.yaml 'unknown-key.yaml:12:' 'spec.method[0]' duraton duration
edit duplicate-key.yaml 's/^kind: .*/&\n&/'
bad duplicate-key.yaml 'duplicate-key.yaml:3:' kind
edit unknown-fault.yaml 's/fault: blackhole/fault: blackhol/'
bad unknown-fault.yaml 'unknown-fault.yaml:11:' blackhol 'did you mean "blackhole"'
edit unit.yaml 's/duration: 10s/duration: 10/'
bad unit.yaml 'unit.yaml:12:' 'spec.method[0].duration'
edit negative.yaml 's/duration: 10s/duration: -10s/'
bad negative.yaml 'negative.yaml:12:'
edit port.yaml 's/\[443\]/[70000]/'
bad port.yaml 'port.yaml:14:' 'ports[0]' 70000
edit type.yaml 's/\[443\]/{a: b}/'
bad type.yaml 'type.yaml:14:' ports
edit version.yaml 's#holdfast/v1#holdfast/v9#'
bad version.yaml 'version.yaml:1:' 'holdfast/v1'
edit tolerance.yaml 's/>= 1/about 1/'
bad tolerance.yaml 'tolerance.yaml:8:' tolerance
edit url.yaml 's#http://127.0.0.1:9090#ftp://x#'
bad url.yaml 'url.yaml:5:' 'spec.prometheus'
edit two-targets.yaml 's/interface: lo/node: true, netns: x/'
bad two-targets.yaml 'two-targets.yaml:13:'
sed '/^  method:/,/blackhole:/p' good.yaml | awk '/^  method:/ && seen++ {next} {print}' >same-name.yaml
bad same-name.yaml cut

# As many mistakes as there are, in the order of the text.
edit several.yaml 's/duration: 10s/duration: 10/; s/\[443\]/[0]/; s/>= 1/=> 1/'
run_as_nobody "$holdfast" validate several.yaml
expect_code 2 several.yaml
[[ $(grep -c '^several.yaml:' <<<"$err") -ge 3 ]] || fail 'several.yaml: three mistakes expected'
mapfile -t lines < <(sed -n 's/^several.yaml:\([0-9]*\):.*/\1/p' <<<"$err")
[[ "${lines[*]}" == "$(printf '%s\n' "${lines[@]}" | sort -n | paste -sd ' ')" ]] || fail 'several.yaml: order'

# Several files, and standard input.
run_as_nobody "$holdfast" validate good.yaml missing.yaml good.yaml
expect_code 2 'good and missing'
[[ $(grep -c ': valid' <<<"$out") -eq 2 ]] || fail 'the good ones of several files are reported too'
expect_err missing.yaml
code=0
out=$("$holdfast" validate - <good.yaml 2>"$work/err") || code=$?
err=$(<"$work/err")
expect_code 0 'good plan on standard input'
expect_out '<stdin>: valid'
code=0
out=$("$holdfast" validate - <large.yaml 2>"$work/err") || code=$?
err=$(<"$work/err")
expect_code 2 'large plan on standard input'
finish
