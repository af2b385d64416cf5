#!/bin/bash
# What real clients see of a fault: IPv4 and IPv6, over the lab's cables and over loopback, on connections new and old.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
: "${HOLDFAST:=$E2E_ROOT/build/bin/holdfast}"

readonly OUT=$E2E_OUT
# Server a, seen from the lab's client, and servers of the client's own.
readonly CABLE=(10.77.0.11 fd77::11) LOOPBACK=(127.0.0.1 ::1)

# see MATCH BLACKHOLE – what a client sees under the fault, on standard output, sorted. The client has connected before.
see() {
  local client go
  mkfifo "$E2E_TMP/go"
  in_lab client python3 "$E2E_ROOT/tests/e2e/refusal_client.py" "${CABLE[@]}" "${LOOPBACK[@]}" \
    <"$E2E_TMP/go" >"$E2E_TMP/client" &
  client=$!
  E2E_PIDS+=("$client")
  exec {go}>"$E2E_TMP/go"
  wait_for 20 "the client to connect" grep -q '^connected$' "$E2E_TMP/client"
  start_client_run blackhole "$1" "$2"
  echo go >&"$go"
  wait "$client" || fail "the client failed"
  grep -v '^connected$' "$E2E_TMP/client" | sort >"$E2E_TMP/seen"
  interrupt_client_run
}

# expected NEW ESTABLISHED UDP – of every address.
expected() {
  local address
  for address in "${CABLE[@]}" "${LOOPBACK[@]}"; do
    printf '%s\n' "$address new $1" "$address established $2" "$address udp $3"
  done | sort
}

readonly EVERYTHING='{addresses: [10.77.0.11, "fd77::11", 127.0.0.1, "::1"], ports: [8080], direction: to}'

test_refused() {
  lab up
  see "$EVERYTHING" '{how: refuse}'
  expect_eq "what the client sees" "$(expected ECONNREFUSED ECONNRESET ECONNREFUSED)" "$(<"$E2E_TMP/seen")"
  expect_eq "all of it is answered" true \
    "$(jq '.actions[0].counters | .answeredPackets == .droppedPackets and .droppedPackets >= 12' "$OUT/report.json")"
}

test_refused_on_clsact() {
  RUN_OPTIONS=(--mechanism clsact)
  test_refused
}

# A host that is unreachable right now is no reason to end a connection (RFC 5461), and UDP is only told where it asks.
test_unreachable() {
  lab up
  see "$EVERYTHING" '{how: unreachable}'
  expect_eq "what the client sees" "$(expected EHOSTUNREACH timeout timeout)" "$(<"$E2E_TMP/seen")"
}

# UDP is none of it: there is nobody on these ports.
test_new_connections_alone() {
  lab up
  see "${EVERYTHING%\}}, connections: new}" '{how: refuse}'
  expect_eq "what the client sees" "$(expected ECONNREFUSED ok ECONNREFUSED)" "$(<"$E2E_TMP/seen")"
}

# Both directions: the answers must not be caught themselves.
test_refused_both_ways() {
  lab up
  see "${EVERYTHING/direction: to/direction: both}" '{how: refuse}'
  expect_eq "what the client sees" "$(expected ECONNREFUSED ECONNRESET ECONNREFUSED)" "$(<"$E2E_TMP/seen")"
}

# The client's own end is closed, also where it was idle.
test_reset() {
  lab up
  see "$EVERYTHING" '{how: reset}'
  expect_eq "what the client sees" "$(expected ECONNREFUSED ECONNABORTED ECONNREFUSED)" "$(<"$E2E_TMP/seen")"
  expect_eq "all of them are closed" 4 "$(jq '.actions[0].counters.closedConnections' "$OUT/report.json")"
}

# UDP is none of it: there is nobody on these ports.
test_existing_connections_alone() {
  lab up
  see "${EVERYTHING%\}}, connections: existing}" '{how: reset}'
  expect_eq "what the client sees" "$(expected ok ECONNABORTED ECONNREFUSED)" "$(<"$E2E_TMP/seen")"
}

test_existing_connections_alone_are_cut() {
  lab up
  see "${EVERYTHING%\}}, connections: existing}" '{how: drop}'
  expect_eq "what the client sees" "$(expected ok timeout ECONNREFUSED)" "$(<"$E2E_TMP/seen")"
}

run_case "$@"
