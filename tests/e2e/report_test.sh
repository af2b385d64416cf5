#!/bin/bash
# report.html as a person sees it: opened in headless Chromium, its elements and its picture compared with report.json.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
: "${HOLDFAST:=$E2E_ROOT/build/bin/holdfast}"

readonly OUT=$E2E_TMP/out

# browse OPTION… – what the page's own console said goes to $E2E_TMP/console. Chromium starts in a namespace without any
# interface: a page that wanted something from elsewhere would not get it.
browse() {
  unshare --net chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --hide-scrollbars --enable-logging=stderr --log-level=0 --window-size=1280,1600 \
    --user-data-dir="$E2E_TMP/profile" "$@" "file://$OUT/report.html" 2>"$E2E_TMP/chromium.log"
  grep 'CONSOLE' "$E2E_TMP/chromium.log" >>"$E2E_TMP/console" || true
}

run_and_look() { # VERDICT
  local status=0
  sed "s/hf-lab-/hf-$HOLDFAST_LAB-/g" "$E2E_ROOT/experiments/quickstart.yaml" >"$E2E_TMP/plan.yaml"
  "$HOLDFAST" run "$E2E_TMP/plan.yaml" --output "$OUT" >"$E2E_TMP/log" 2>&1 </dev/null || status=$?
  cat "$E2E_TMP/log"
  expect_eq "verdict (exit code $status)" "$1" "$(jq -r .verdict "$OUT/report.json")"
  browse --dump-dom >"$E2E_TMP/dom.html"
  browse --screenshot="$E2E_TMP/report.png"
  python3 "$E2E_ROOT/tests/e2e/report_check.py" "$E2E_ROOT/docs/report.schema.json" "$OUT/report.json" "$E2E_TMP/dom.html" "$E2E_TMP/report.png" ||
    fail "the page does not show what the report says"
  [[ ! -s $E2E_TMP/console ]] || fail "the page complains" "$(<"$E2E_TMP/console")"
}

test_of_a_run_that_held() {
  lab up
  run_and_look held
}

test_of_a_breach() {
  lab up --no-failsafe
  run_and_look breached
}

run_case "$@"
