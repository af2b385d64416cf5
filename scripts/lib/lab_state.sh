# shellcheck shell=bash
# What a lab remembers on disk, and which processes are its own. Sourced by scripts/lab.
#
# /run/holdfast-lab/NAME/
#   boot            boot id of the kernel that the lab was made under
#   mode            failsafe or no-failsafe
#   ready           there once `up` has seen everything work
#   pids/SERVICE    "PID STARTTIME NAMESPACE", written right after the start
#   conf/ log/ data/

readonly LAB_HOME=/run/holdfast-lab
# Set by lab_select.
LAB_NAME='' LAB_STATE='' LAB_PREFIX=''

# lab_select NAME – all functions below are about this lab.
lab_select() {
  # 15 characters of a lab's name leave namespaces that are short enough to be read in messages.
  [[ $1 =~ ^[a-z0-9][a-z0-9-]{0,14}$ ]] ||
    usage_error "not a lab's name: \"$1\" (accepted: 1 to 15 of a-z, 0-9 and -, not starting with -)"
  LAB_NAME=$1
  LAB_STATE=$LAB_HOME/$1
  # shellcheck disable=SC2034  # read by lab_net.sh
  LAB_PREFIX=hf-$1
}

# One up or down of a lab at a time, until this script ends. (Services are started without the descriptor.)
lab_lock() {
  local file=$LAB_HOME/$LAB_NAME.lock
  mkdir -p "$LAB_HOME"
  while true; do
    exec {LAB_LOCK}>"$file"
    if ! flock --nonblock "$LAB_LOCK"; then
      say "another scripts/lab works on the lab \"$LAB_NAME\"; waiting for it"
      flock --timeout 180 "$LAB_LOCK" ||
        die "the lab \"$LAB_NAME\" is still being worked on after 180 s" "fuser -v $file shows by whom"
    fi
    # A `down` deletes the file: a lock on one that is no longer there guards nothing.
    [[ /proc/self/fd/$LAB_LOCK -ef $file ]] && return
    exec {LAB_LOCK}>&-
  done
}

# Call last, with the lock held.
lab_forget() {
  rm -rf "$LAB_STATE"
  rm -f "$LAB_HOME/$LAB_NAME.lock"
}

# Field 22 of /proc/PID/stat, in clock ticks since boot. The name (field 2) may hold blanks and parentheses.
process_start_time() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  [[ -n $stat ]] || return 1
  read -ra stat <<<"${stat##*) }"
  [[ ${stat[0]} != Z ]] || return 1 # a zombie is no longer running
  echo "${stat[19]}"
}

# The pid of a service, where the process that it names is the one that was started: a pid alone may have been given to
# somebody else since, pid and start time together may not.
service_pid() {
  local pid start _ns
  read -r pid start _ns 2>/dev/null <"$LAB_STATE/pids/$1" || return 1
  [[ $(process_start_time "$pid") == "$start" ]] || return 1
  echo "$pid"
}

service_record() {
  local service=$1 pid=$2 namespace=$3
  echo "$pid $(process_start_time "$pid" || echo 0) $namespace" >"$LAB_STATE/pids/$service.new"
  mv "$LAB_STATE/pids/$service.new" "$LAB_STATE/pids/$service"
}

# After a reboot no pid and no namespace of before means anything.
lab_of_this_boot() {
  [[ $(cat "$LAB_STATE/boot" 2>/dev/null) == "$(cat /proc/sys/kernel/random/boot_id)" ]]
}

# The lab's processes that still run, one pid a line: those that it recorded, and all that live in its namespaces
# (workers, and what was started by `lab exec` or by an `up` that was killed before it could write a pid down).
lab_processes() {
  local file namespace
  {
    if lab_of_this_boot; then
      for file in "$LAB_STATE"/pids/*; do
        [[ -f $file && $file != *.new ]] || continue
        service_pid "${file##*/}" || true
      done
    fi
    for namespace in $(lab_namespaces); do
      ip netns pids "$namespace" 2>/dev/null || true
    done
  } | sort -un | grep -vx -e "$$" -e "$PPID" || true # this script may itself have been started inside the lab
}

_lab_no_process() { [[ -z $(lab_processes) ]]; }

# Ends all processes of the lab: asks first, insists after 5 seconds.
lab_kill() {
  local signal pid
  for signal in TERM KILL; do
    for pid in $(lab_processes); do
      kill -s "$signal" "$pid" 2>/dev/null || true
      kill -s CONT "$pid" 2>/dev/null || true # a stopped process hears nothing else
    done
    if wait_until 5 _lab_no_process; then
      return 0
    fi
  done
  warn "some processes of the lab \"$LAB_NAME\" do not end: $(lab_processes | tr '\n' ' ')"
}
