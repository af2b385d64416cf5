#!/usr/bin/env bash
# Every command explains itself, in the form of a manual page.
# shellcheck source=tests/e2e/cli/lib.sh
source "$(dirname "$0")/lib.sh"

# check_page NAME SECTION... : the last output is a page of at most 80 columns that has these sections.
check_page() {
  local name=$1 section
  shift
  expect_code 0 "$name"
  expect_no_err "$name"
  for section in "$@"; do
    grep -qx "$section" <<<"$out" || fail "$name: section $section is missing"
  done
  if grep -nE '^.{81,}' <<<"$out"; then
    fail "$name: lines of more than 80 columns"
  fi
}

run "$holdfast" --help
check_page holdfast NAME SYNOPSIS DESCRIPTION COMMANDS OPTIONS 'EXIT STATUS'
# The commands that the overview lists are those that are there.
mapfile -t commands < <(sed -n '/^COMMANDS$/,/^OPTIONS$/s/^       \([a-z]*\) .*/\1/p' <<<"$out")
[[ " ${commands[*]} " == *" run "* && ${#commands[@]} -ge 6 ]] || fail "the overview lists: ${commands[*]}"

for command in "${commands[@]}"; do
  run "$holdfast" "$command" --help
  check_page "$command" NAME SYNOPSIS DESCRIPTION OPTIONS 'EXIT STATUS' EXAMPLES
  expect_out "holdfast $command"
  page=$out
  run "$holdfast" "$command" -h
  [[ $out == "$page" ]] || fail "$command -h differs from --help"
  run "$holdfast" help "$command"
  [[ $out == "$page" ]] || fail "help $command differs from $command --help"
done

for command in validate explain doctor version; do
  run "$holdfast" "$command" --help
  expect_out --json
done
finish
