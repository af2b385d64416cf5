#!/bin/bash
# Installs what is missing from Debian 12's packages, and nothing else.
#
# Usage: scripts/lib/deps.sh GROUP…     GROUP: build, test, lab, bench
#
# Sourced by the other scripts for deps_ensure. Packages that bring a service (HAProxy, nginx, Prometheus) are
# installed without it being started, now or at the next boot: the lab runs its own.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

# The guests' kernel is not among them: installed, it would be the one that this machine boots next. tests/vm unpacks it
# beside the build, for which it has to be among apt's lists.
readonly DEPS_GUEST_KERNEL=linux-image-cloud-amd64
declare -rA DEPS_PACKAGES=(
  [build]="build-essential cmake ninja-build ccache pkg-config git clang llvm bpftool libbpf-dev libelf-dev linux-libc-dev
    libboost-program-options-dev libyaml-cpp-dev prometheus-cpp-dev nlohmann-json3-dev libfmt-dev libspdlog-dev
    libmnl-dev libcurl4-openssl-dev libssl-dev libgtest-dev libgmock-dev libbenchmark-dev ca-certificates"
  [test]="clang-format-19 clang-tidy-19 bpftool iproute2 nftables iptables tcpdump ethtool dnsutils curl jq openssl
    iputils-ping procps python3 python3-jsonschema chromium qemu-system-x86 qemu-system-common busybox-static cpio xz-utils
    kmod shellcheck"
  [lab]="iproute2 util-linux procps haproxy nginx dnsmasq-base prometheus prometheus-blackbox-exporter hey dnsutils
    curl jq"
  [bench]="iperf3 iproute2 nftables iptables prometheus"
)
# Units that those packages enable when they are installed.
declare -rA DEPS_UNITS=(
  [haproxy]=haproxy.service
  [nginx]=nginx.service
  [prometheus]=prometheus.service
  [prometheus-blackbox-exporter]=prometheus-blackbox-exporter.service
)
readonly DEPS_POLICY=/usr/sbin/policy-rc.d
readonly DEPS_POLICY_MARK="holdfast: no service is started while packages are installed"

# Prints those of the named groups' packages that are not installed, one a line.
deps_missing() {
  local group package
  for group in "$@"; do
    [[ -n ${DEPS_PACKAGES[$group]:-} ]] || die "no such group of packages: $group" "one of: ${!DEPS_PACKAGES[*]}"
    for package in ${DEPS_PACKAGES[$group]}; do
      [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
    done
  done | sort -u
}

# deps_ensure GROUP… – afterwards all packages of the groups are installed. Says nothing where they are already.
deps_ensure() {
  command -v dpkg-query >/dev/null ||
    die "this is not Debian: no dpkg-query" "use Debian 12, or install by hand: ${DEPS_PACKAGES[*]//$'\n'/ }"
  local missing
  missing=$(deps_missing "$@")
  if [[ " $* " == *' test '* ]] && ! _deps_guest_kernel_known; then
    missing+=${missing:+$'\n'}$DEPS_GUEST_KERNEL
  fi
  [[ -n $missing ]] || return 0
  if ((EUID == 0)); then
    deps_install "$@"
  elif command -v sudo >/dev/null; then
    sudo -- bash "$HOLDFAST_ROOT/scripts/lib/deps.sh" "$@"
  else
    die "packages are missing, and installing them needs root: ${missing//$'\n'/ }" \
      "as root: apt-get install --no-install-recommends ${missing//$'\n'/ }"
  fi
}

_deps_guest_kernel_known() { [[ -n $(apt-cache show "$DEPS_GUEST_KERNEL" 2>/dev/null) ]]; }

# apt-get that waits for a lock somebody else holds and tries a failed download again.
_deps_apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
    -o Dpkg::Use-Pty=0 "$@"
}

# A policy-rc.d that is there already stays: it is the administrator's.
_deps_forbid_services() {
  [[ ! -e $DEPS_POLICY ]] || return 0
  printf '#!/bin/sh\n# %s\nexit 101\n' "$DEPS_POLICY_MARK" >"$DEPS_POLICY"
  chmod 755 "$DEPS_POLICY"
}

_deps_allow_services() {
  if grep -qsF "$DEPS_POLICY_MARK" "$DEPS_POLICY"; then
    rm -f "$DEPS_POLICY"
  fi
}

# policy-rc.d holds for the installation only; a unit that was enabled would start at the next boot.
_deps_disable_units() {
  local package unit
  command -v systemctl >/dev/null || return 0
  for package in "$@"; do
    unit=${DEPS_UNITS[$package]:-}
    [[ -n $unit ]] || continue
    systemctl --quiet disable "$unit" >/dev/null 2>&1 || warn "could not disable $unit: see systemctl status $unit"
    if [[ -d /run/systemd/system ]]; then
      systemctl --quiet stop "$unit" || warn "could not stop $unit: see systemctl status $unit"
    fi
  done
}

# In a subshell of its own, so that its traps end with it.
deps_install() (
  exec {lock}>/run/lock/holdfast-deps.lock
  flock "$lock"
  local missing started=$SECONDS log
  missing=$(deps_missing "$@") # once more: whoever held the lock may have installed them
  if [[ -z $missing ]]; then
    # Nothing to install, but to know of.
    _deps_guest_kernel_known || _deps_apt update >/dev/null || warn "apt-get update failed: tests/vm may miss its kernel"
    exit 0
  fi
  mapfile -t missing <<<"$missing"
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  log=$(mktemp)
  trap '_deps_allow_services; rm -f "$log"' EXIT
  trap 'exit 130' INT TERM

  _deps_forbid_services
  local try done_=no
  for try in 1 2 3; do
    # Lists that are out of date name packages that are gone; lists that can't be had may still do.
    _deps_apt update >"$log" 2>&1 || warn "apt-get update failed: $(tail -n 1 "$log")"
    if _deps_apt install --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
      done_=yes
      break
    fi
    warn "apt-get install failed (try $try of 3)"
    # What an interrupted installation left half done keeps every later one from working.
    dpkg --configure -a >>"$log" 2>&1 || true
    _deps_apt --fix-broken install >>"$log" 2>&1 || true
  done
  if [[ $done_ == no ]]; then
    tail -n 20 "$log" >&2
    die "these packages could not be installed: ${missing[*]}" \
      "see apt's words above; Debian 12's main archive must be in /etc/apt/sources.list and reachable"
  fi
  _deps_disable_units "${missing[@]}"
  say "packages installed in $(took "$started")"
)

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  case ${1:-} in
    '' | -h | --help) print_help "$0" ;;
    *) deps_ensure "$@" ;;
  esac
fi
