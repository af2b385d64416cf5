#!/bin/bash
# What `holdfast run` refuses: exit code 2, a message that names the cure, and a host that was never touched. The plan's
# own mistakes are the subject of cli/validate_test.sh; here it is the plan on this node, and the node itself.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
: "${HOLDFAST:=$E2E_ROOT/build/bin/holdfast}"

# A namespace that plays the node, with a link to a namespace that plays the rest of the world.
readonly NODE=hf-$HOLDFAST_LAB-node WORLD=hf-$HOLDFAST_LAB-world
in_node() { nsenter --net="/run/netns/$NODE" -- "$@"; }

make_node() {
  ip netns add "$NODE"
  ip netns add "$WORLD"
  ip -n "$NODE" link add eth0 type veth peer name eth0 netns "$WORLD"
  ip -n "$NODE" addr add 10.78.0.1/24 dev eth0
  ip -n "$WORLD" addr add 10.78.0.2/24 dev eth0
  ip -n "$NODE" link set lo up
  ip -n "$NODE" link set eth0 up
  ip -n "$WORLD" link set eth0 up
}

remove_node() {
  local name
  for name in "$NODE" "$WORLD"; do
    ip netns del "$name" 2>/dev/null || true
  done
}

# plan TARGET MATCH [FURTHER_LINE…] – a plan of one blackhole, on standard output. Its Prometheus is 10.78.0.2:9090.
plan() {
  cat <<YAML
apiVersion: holdfast/v1
kind: Experiment
metadata: {name: refused}
spec:
  prometheus: {url: "http://10.78.0.2:9090"}
  steadyStateHypothesis:
    probes: [{name: up, type: prometheus, query: up, tolerance: ">= 1"}]
  method:
    - name: cut
      fault: blackhole
      duration: 10s
      target: $1
      match: $2
      blackhole: {how: drop}
$(printf '      %s\n' "${@:3}")
YAML
}

# refused MESSAGE CURE COMMAND… – the command ends with 2, says both, and nothing has changed.
refused() {
  local message=$1 cure=$2 before output status=0
  shift 2
  before=$(node_state)
  output=$("$@" 2>&1 </dev/null) || status=$?
  echo "$output"
  expect_eq "exit code of: $*" 2 "$status"
  expect_match "the message" "$message" "$output"
  expect_match "the cure" "$cure" "$output"
  expect_eq "the host" "$before" "$(node_state)"
}

node_state() {
  host_state
  in_node tc qdisc
  in_node tc filter show dev eth0 egress
}

run_in_node() { # PLAN_TEXT
  printf '%s\n' "$1" >"$E2E_TMP/plan.yaml"
  in_node "$HOLDFAST" run "$E2E_TMP/plan.yaml" --output "$E2E_TMP/out"
}

test_what_is_not_there() {
  make_node
  refused 'network namespace nowhere does not exist' 'ip netns list' run_in_node "$(plan '{netns: nowhere}' '{ports: [80]}')"
  refused 'pid 4194303' 'must be running' run_in_node "$(plan '{pid: 4194303}' '{ports: [80]}')"
  refused 'no interface .?eth9' 'eth0' run_in_node "$(plan '{interface: eth9}' '{ports: [80]}')"
  refused 'nobody\.invalid' 'cure' run_in_node "$(plan '{interface: eth0}' '{hosts: [nobody.invalid]}')"
}

test_what_would_cut_off_the_agent() {
  make_node
  # From its Prometheus: by address and port, by a prefix, by the port alone, by the whole node.
  refused "the plan's Prometheus" 'protected: spare' run_in_node "$(plan '{interface: eth0}' '{addresses: [10.78.0.2], ports: [9090]}')"
  refused "the plan's Prometheus" 'protected: spare' run_in_node "$(plan '{interface: eth0}' '{addresses: [10.0.0.0/8]}')"
  refused "the plan's Prometheus" 'protected: spare' run_in_node "$(plan '{node: true}' '{ports: [9000-9999], protocol: tcp}')"
  refused "the plan's Prometheus" 'protected: spare' run_in_node "$(plan '{node: true}' '{addresses: [0.0.0.0/0]}')"
  # From SSH: everything that arrives, port 22 of this node, or where the session that started the agent came in.
  refused 'SSH to this node \(port 22\)' 'protected: spare' run_in_node "$(plan '{node: true}' '{localPorts: [22]}')"
  refused 'SSH to this node \(port 22\)' 'protected: spare' run_in_node "$(plan '{node: true}' '{localPorts: [1-1023]}')"
  refused 'SSH to this node \(port 2222\)' 'protected: spare' \
    env SSH_CONNECTION='10.78.0.2 50000 10.78.0.1 2222' bash -c "$(declare -f in_node run_in_node); $(declare -p HOLDFAST NODE E2E_TMP)
      run_in_node \"\$1\"" bash "$(plan '{node: true}' '{localPorts: [2000-3000]}')"
}

# Where somebody is logged in from is cut off; where nobody is, a session that may come is merely spared.
test_what_would_cut_off_a_session() {
  local explained
  make_node
  plan '{interface: eth0}' '{addresses: [10.78.0.9]}' >"$E2E_TMP/plan.yaml"
  explained=$(in_node "$HOLDFAST" explain "$E2E_TMP/plan.yaml")
  expect_match "what may come is spared" 'SSH to this node .* spared' "$explained"
  # A connection to port 22 and nothing more: what answers there does not matter.
  nsenter --net="/run/netns/$NODE" -- python3 -c 'import socket, time
server = socket.create_server(("10.78.0.1", 22))
kept = server.accept()
time.sleep(120)' &
  E2E_PIDS+=($!)
  wait_for 10 "the server" bash -c "nsenter --net=/run/netns/$NODE ss -Hltn sport = 22 | grep -q ."
  nsenter --net="/run/netns/$WORLD" -- python3 -c 'import socket, time
kept = socket.create_connection(("10.78.0.1", 22))
time.sleep(120)' &
  E2E_PIDS+=($!)
  wait_for 10 "the session" bash -c "nsenter --net=/run/netns/$NODE ss -Htn state established sport = 22 | grep -q ."
  refused 'SSH to this node \(port 22\)' 'protected: spare' run_in_node "$(plan '{interface: eth0}' '{addresses: [10.78.0.0/30], protocol: tcp, localPorts: [1-1000]}')"
}

# The same matches with `protected: spare` are accepted: what is protected passes, the rest is hit.
test_what_is_spared() {
  local output
  make_node
  plan '{interface: eth0}' '{addresses: [10.0.0.0/8]}' 'protected: spare' >"$E2E_TMP/plan.yaml"
  output=$(in_node "$HOLDFAST" explain "$E2E_TMP/plan.yaml")
  expect_match "what is spared is said" "the plan's Prometheus .* spared" "$output"
}

test_two_runs_of_one_namespace() {
  make_node
  # Somebody has it: the lock is what a run holds.
  local inode holder
  inode=$(in_node stat -L -c %i /proc/self/ns/net)
  mkdir -p /run/holdfast
  flock --no-fork "/run/holdfast/netns-$inode.lock" sleep 60 &
  holder=$!
  E2E_PIDS+=("$holder")
  wait_for 5 "the lock to be held" bash -c "! flock --nonblock /run/holdfast/netns-$inode.lock true"
  refused 'taken by another run' 'one run at a time' run_in_node "$(plan '{interface: eth0}' '{addresses: [10.78.0.9]}')"
  kill "$holder"
  wait "$holder" || true
  rm -f "/run/holdfast/netns-$inode.lock"
}

test_without_privileges() {
  make_node
  chmod 711 "$E2E_TMP"
  install -m 755 "$HOLDFAST" "$E2E_TMP/holdfast"
  plan '{interface: eth0}' '{addresses: [10.78.0.9]}' >"$E2E_TMP/plan.yaml"
  refused 'not root' 'sudo' setpriv --reuid 65534 --regid 65534 --clear-groups "$E2E_TMP/holdfast" run "$E2E_TMP/plan.yaml"
  refused 'root without CAP_NET_ADMIN' 'capabilities' setpriv --bounding-set=-net_admin,-sys_admin --inh-caps=-net_admin,-sys_admin \
    "$HOLDFAST" run "$E2E_TMP/plan.yaml"
  refused 'no such mechanism' 'tcx' "$HOLDFAST" run --mechanism xdp "$E2E_TMP/plan.yaml"
}

E2E_CLEAN_UP=remove_node
run_case "$@"
