# shellcheck shell=bash
# Judges a guest's kernel log. Sourced by run-in-guest and by the self-test.

# What a kernel reports trouble of its own with. "Call Trace:" and "RIP:" come with others: they catch reports not named here.
readonly kernel_trouble=(
  'WARNING:' 'BUG[: ]' 'Oops' '[Kk]ernel panic' 'general protection' 'Call Trace:' 'RIP: 0010:'
  '[Dd]etected (stalls?|expedited stalls)' 'kthread (starved|timer wakeup)' 'soft lockup' 'hard LOCKUP' 'blocked for more than'
  'possible (circular|recursive) lock' 'inconsistent lock state' 'suspicious RCU'
  'KASAN' 'KCSAN' 'KFENCE: .*(memory|free|read|write)' 'KMSAN' 'UBSAN' 'refcount_t:' 'list_(add|del).*corruption' 'stack-protector'
  'unregister_netdevice: waiting' 'leaked (reference|percpu)' 'kmemleak: [0-9]'
  'Out of memory' 'oom-kill' 'page allocation failure'
)

# kernel_trouble_in LOG BENIGN_FILE: prints the lines of trouble, at most 40; nothing if the log is clean.
kernel_trouble_in() {
  local log=$1 benign trouble
  trouble=$(IFS='|'; echo "${kernel_trouble[*]}")
  benign=$(grep -Ev '^[[:space:]]*(#|$)' "$2" | paste -sd '|') || benign=''
  tr -d '\r' <"$log" | grep -aE "$trouble" | grep -avE "${benign:-^$}" | head -n 40 || true
}

# kernel_taint_of_trouble TAINT: the bits of /proc/sys/kernel/tainted that only trouble sets (bad page, died, warned, soft
# lockup). The kernel's own record, whatever of the log was lost.
kernel_taint_of_trouble() { echo $(($1 & (1 << 5 | 1 << 7 | 1 << 9 | 1 << 14))); }
