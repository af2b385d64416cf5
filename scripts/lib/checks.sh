# shellcheck shell=bash
# The static checks: clang-format, clang-tidy, shellcheck. Sourced by scripts/test; each returns 1 when it found something.

# tracked PATTERN… – files of the repository, also those that git does not know yet, without what it ignores.
tracked() {
  # safe.directory: root checks a clone that is somebody else's.
  git -C "$HOLDFAST_ROOT" -c safe.directory="$HOLDFAST_ROOT" ls-files --cached --others --exclude-standard -- "$@" |
    while IFS= read -r file; do
      [[ ! -f $HOLDFAST_ROOT/$file ]] || printf '%s\n' "$file"
    done
}

check_format() {
  local files
  mapfile -t files < <(tracked '*.cpp' '*.h' '*.c')
  say "clang-format: ${#files[@]} files"
  ((${#files[@]} > 0)) || die "no file to check in $HOLDFAST_ROOT" "it must be a git clone"
  clang-format-19 --dry-run -Werror "${files[@]}" && return
  note "cure: clang-format-19 -i FILE"
  return 1
}

check_shell() {
  local files
  mapfile -t files < <(
    tracked '*.sh'
    # Those without an ending tell by their first line.
    tracked scripts .ci tests | grep -v '\.[a-z0-9]*$' |
      while IFS= read -r file; do
        read -r first <"$file" || true
        [[ ! ${first:-} =~ ^#!.*[/\ ](ba)?sh ]] || printf '%s\n' "$file"
      done
  )
  say "shellcheck: ${#files[@]} files"
  shellcheck --severity=warning --external-sources --source-path="$HOLDFAST_ROOT" "${files[@]}"
}

# What the result of clang-tidy for one file depends on, as one hash: the tool, its configuration, the command, and the
# contents of every file of the project that the compiler read for it (ninja knows them from the build).
# _tidy_key OBJECT COMMAND DEPS_FILE
_tidy_key() {
  {
    printf '%s\n' "$TIDY_BASE" "$2"
    # A block of `ninja -t deps`: "OBJECT: #deps …" followed by indented file names.
    awk -v object="$1:" '$1 == object { inside = 1; next } !/^ / { inside = 0 } inside { print $1 }' "$3" |
      grep -v '^/usr/' | sort -u |
      { cd "$TIDY_BUILD" && xargs -r sha256sum; }
  } | sed "s|$HOLDFAST_ROOT|.|g" | sha256sum | cut -d' ' -f1
}

# One file; the stamp says that it was clean. Called in parallel, in shells of their own.
_tidy_one() {
  local file=$1 key=$2 output
  if output=$(clang-tidy-19 --quiet -p "$TIDY_BUILD" "$file" 2>&1); then
    : >"$TIDY_STAMPS/$key"
  else
    # One write for each file, so that those of others do not get in between.
    printf '%s\n' "$output" | grep -v -e 'warnings generated' -e '^Suppressed ' -e '^Use -header-filter'
    return 1
  fi
}

# Clones share the stamps, as they do the compiler's cache: CI works in a new one each time.
# Needs the release build: its compile_commands.json, its generated headers, its dependencies.
check_tidy() {
  local started=$SECONDS deps todo file object command key total=0
  export TIDY_BUILD=$HOLDFAST_ROOT/build/release TIDY_STAMPS=${XDG_CACHE_HOME:-${HOME:-$HOLDFAST_ROOT/build}/.cache}/holdfast-tidy
  TIDY_BASE=$(clang-tidy-19 --version && cat "$HOLDFAST_ROOT/.clang-tidy")
  deps=$(mktemp) todo=$(mktemp)
  mkdir -p "$TIDY_STAMPS"
  ninja -C "$TIDY_BUILD" -t deps >"$deps"
  while IFS=$'\t' read -r file object command; do
    total=$((total + 1))
    key=$(_tidy_key "$object" "$command" "$deps")
    [[ -e $TIDY_STAMPS/$key ]] || printf '%s\0%s\0' "$file" "$key" >>"$todo"
  done < <(jq -r --arg root "$HOLDFAST_ROOT/" '.[]
    | select(.file | ltrimstr($root) | test("^(agent|common|controller|cli)/"))
    | [.file, (.output // (.command | capture(" -o (?<o>[^ ]+)").o)), .command] | @tsv' "$TIDY_BUILD/compile_commands.json")
  say "clang-tidy: $(($(tr -cd '\0' <"$todo" | wc -c) / 2)) of $total files have changed since they were found clean"

  local status=0
  export -f _tidy_one
  # shellcheck disable=SC2016  # expanded by that shell
  xargs -0 -r -n 2 -P "$(nproc)" bash -c '_tidy_one "$@"' tidy <"$todo" || status=1
  rm -f "$deps" "$todo"
  # Stamps of what files were long ago are of no use.
  find "$TIDY_STAMPS" -type f -mtime +30 -delete
  note "clang-tidy took $(took "$started")"
  return "$status"
}
