# shellcheck shell=bash
# What all scripts share: messages, running as root, waiting for a condition. Sourced, never run.

# shellcheck disable=SC2034  # read by the scripts that source this file
HOLDFAST_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)

if [[ -t 2 && -z ${NO_COLOR:-} ]]; then
  _bold=$'\e[1m' _red=$'\e[31m' _plain=$'\e[0m'
else
  _bold='' _red='' _plain=''
fi

# Progress goes to stderr: stdout stays for what a caller may want to read (a table, JSON, a test runner's own words).
say() { printf '%s==>%s %s\n' "$_bold" "$_plain" "$*" >&2; }
note() { printf '    %s\n' "$*" >&2; }
warn() { printf '%swarning:%s %s\n' "$_red" "$_plain" "$*" >&2; }

# die MESSAGE [CURE] – ends the script with 1.
die() {
  printf '%serror:%s %s\n' "$_red" "$_plain" "$1" >&2
  [[ -z ${2:-} ]] || printf '  cure: %s\n' "$2" >&2
  exit 1
}

# usage_error MESSAGE – ends the script with 2, as the programs do for a bad command line.
usage_error() {
  printf '%serror:%s %s\n  see: %s --help\n' "$_red" "$_plain" "$1" "$0" >&2
  exit 2
}

# print_help FILE – the comment block at the top of a script is its help.
print_help() {
  awk 'NR == 1 { next } /^#/ { sub(/^# ?/, ""); print; next } { exit }' "$1"
}

# need_value OPTION REST… – refuses an option that came without its value.
need_value() {
  [[ $# -ge 2 ]] || usage_error "$1 needs a value"
}

# as_root CMD… – runs a command as root: directly, or by sudo.
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -- "$@"
  else
    die "needs root: ${*}" "run this as root, or install sudo"
  fi
}

# rerun_as_root SCRIPT ARGS… – goes on as root where the caller is not; returns where it is.
rerun_as_root() {
  ((EUID != 0)) || return 0
  command -v sudo >/dev/null || die "$(basename "$1") needs root" "run it as root, or install sudo"
  exec sudo -- "$@"
}

# wait_until SECONDS CMD… – polls CMD until it succeeds; 1 when it did not within SECONDS.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

# took START – how long it is since START (a value of $SECONDS), for people.
took() {
  local seconds=$((SECONDS - $1))
  printf '%dm%02ds' $((seconds / 60)) $((seconds % 60))
}
