#!/usr/bin/env bash
# The completion script, sourced into a bash and asked the way readline asks.
# shellcheck source=tests/e2e/cli/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$work"
rm -f out err
mkdir plans
touch one.yaml two.yml notes.txt 'with space.yaml' plans/three.yaml

"$holdfast" completion bash >script.bash
bash -n script.bash || fail 'the script does not parse'
# shellcheck disable=SC1091
source ./script.bash
[[ $(complete -p holdfast) == *'-F _holdfast holdfast' ]] || fail 'not registered'

# completes WORDS... => REPLIES : what the last word can become, sorted and joined by commas.
completes() {
  COMP_WORDS=(holdfast)
  while [[ $1 != '=>' ]]; do
    COMP_WORDS+=("$1")
    shift
  done
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  COMPREPLY=()
  _holdfast
  local got
  got=$(printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | paste -sd ,)
  [[ $got == "$2" ]] || fail "completion of '${COMP_WORDS[*]}' is '$got', not '$2'"
}

completes v '=>' 'validate,version'
completes '' '=>' 'doctor,explain,help,run,validate,version'
completes ru '=>' run
completes --ver '=>' '--verbose,--version'
completes -v ru '=>' run
completes validate '' '=>' 'one.yaml,plans/,two.yml,with space.yaml'
completes validate on '=>' one.yaml
completes validate one.yaml tw '=>' two.yml
completes run plans/ '=>' plans/three.yaml
completes explain plans/t '=>' plans/three.yaml
completes validate --j '=>' --json
completes run --me '=>' '--mechanism,--metrics'
completes doctor --j '=>' --json
completes doctor one '=>' ''
completes version - '=>' '--help,--json,--no-color,--verbose'
completes help val '=>' validate
completes completion b '=>' bash
completes completion z '=>' ''
completes nonsense x '=>' ''
finish
