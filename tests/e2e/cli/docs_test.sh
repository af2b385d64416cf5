#!/usr/bin/env bash
# The documents: their links lead somewhere, their plans are valid, and so are the example plans.
# shellcheck source=tests/e2e/cli/lib.sh
source "$(dirname "$0")/lib.sh"
root=$(cd "$(dirname "$0")/../../.." && pwd)

snippets=$work/snippets
mkdir "$snippets"
run python3 "$root/tests/e2e/cli/docs_check.py" "$root" "$snippets"
expect_code 0 'README.md and docs/*.md'

for plan in "$snippets"/*.yaml "$root"/experiments/*.yaml "$root"/tests/e2e/plans/*.yaml; do
  run "$holdfast" validate "$plan"
  expect_code 0 "${plan#"$root"/}"
done

# Each fault has an example of its name.
mapfile -t faults < <(sed -n 's/.*fault: *\([a-z]*\).*/\1/p' "$snippets"/faults-*.yaml | sort -u)
((${#faults[@]} >= 4)) || fail "docs/faults.md shows ${#faults[@]} faults"
for fault in "${faults[@]}"; do
  grep -q "fault: $fault\$" "$root/experiments/$fault.yaml" || fail "experiments/$fault.yaml has no fault of its name"
done
finish
