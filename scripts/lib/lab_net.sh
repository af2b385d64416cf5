# shellcheck shell=bash
# The lab's network namespaces and what joins them. Sourced by scripts/lab.
#
#   edge .2   mon .5   a .11   b .12   client .20        10.77.0.0/24 and fd77::/64, the same in every lab
#     |         |        |       |        |
#   --+---------+--------+-------+--------+-- br0, in the namespace `net`
#
# The cables go from `net` straight into the others: the host's own namespace never holds an end of one.

readonly LAB_PARTS=(edge a b mon client)
declare -rA LAB_HOST_NUMBER=([edge]=2 [mon]=5 [a]=11 [b]=12 [client]=20)

part_namespace() { echo "$LAB_PREFIX-$1"; }
part_address4() { echo "10.77.0.${LAB_HOST_NUMBER[$1]}"; }
part_address6() { echo "fd77::${LAB_HOST_NUMBER[$1]}"; }

have_ipv6() { [[ -e /proc/sys/net/ipv6 ]]; }

# The namespaces of this lab that are there, one a line.
lab_namespaces() {
  local part
  for part in net "${LAB_PARTS[@]}"; do
    [[ ! -e /run/netns/$LAB_PREFIX-$part ]] || echo "$LAB_PREFIX-$part"
  done
}

# in_part PART CMD… – runs a command in the namespace of a part. Not `ip netns exec`: that remounts /sys.
in_part() {
  local part=$1
  shift
  nsenter --net="/run/netns/$LAB_PREFIX-$part" -- "$@"
}

network_create() {
  local part switch
  switch=$(part_namespace net)
  # The first namespace of a machine makes /run/netns a mount point; two labs at once must not both do so.
  (
    exec {lock}>/run/lock/holdfast-netns.lock
    flock "$lock"
    for part in net "${LAB_PARTS[@]}"; do
      ip netns add "$(part_namespace "$part")"
    done
  )
  ip -n "$switch" link set lo up
  # No spanning tree and no multicast snooping: both hold packets back while they learn.
  ip -n "$switch" link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
  ip -n "$switch" link set br0 up
  for part in "${LAB_PARTS[@]}"; do
    _network_plug_in "$part" "$switch"
  done
}

_network_plug_in() {
  local part=$1 switch=$2 namespace
  namespace=$(part_namespace "$part")
  ip -n "$switch" link add name "$part" type veth peer name eth0 netns "$namespace"
  ip -n "$switch" link set dev "$part" master br0 up
  ip -n "$namespace" link set lo up
  ip -n "$namespace" link set eth0 up
  ip -n "$namespace" addr add "$(part_address4 "$part")/24" dev eth0
  if have_ipv6; then
    # Without duplicate address detection: the address is to be usable at once.
    ip -n "$namespace" addr add "$(part_address6 "$part")/64" dev eth0 nodad
  fi
}

# The cables and the bridge go with their namespaces.
network_remove() {
  local namespace
  for namespace in $(lab_namespaces); do
    ip netns del "$namespace" 2>/dev/null ||
      # A file without a mount: what is left of a namespace after a reboot where /run is a disk.
      rm -f "/run/netns/$namespace"
  done
}
