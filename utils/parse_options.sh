# shellcheck shell=bash
# Sourced by a script whose options are commented defaults, one a line, between two marker lines:
#
#   # Options
#   nj=2                # number of parallel jobs
#   # End of options
#   . utils/parse_options.sh
#
# `--nj 4`, `--nj=4` and `--some-name x` set the variables; `--help` prints names, defaults and comments.
# A variable that starts as true or false, as a whole number or as 0.1 takes nothing else; an unknown option ends the script
# with exit code 2.
# `option_aliases` may hold pairs "other_name:name".
#
# In a script without the two marker lines it does what Kaldi's does: any variable that is set is an option, `--config FILE`
# is sourced first, `--help` prints $help_message, the words after the options stay in "$@".

_kaldi=true # whether the script has no marker lines; what bash reads from elsewhere than a file has none
if grep -q '^# Options$' "$0" 2>/dev/null; then _kaldi=false; fi

_options_block() { sed -n '/^# Options$/,/^# End of options$/p' "$0"; }

_options_names() { _options_block | sed -n 's/^\([a-z_][a-z_0-9]*\)=.*/\1/p'; }

_options_help() {
  sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; echo
  echo "Options (default in brackets):"
  _options_block | sed '1d;$d' | while IFS= read -r _line; do
    if [[ $_line =~ ^([a-z_][a-z_0-9]*)=([^#]*[^#[:space:]])?[[:space:]]*#[[:space:]]*(.*)$ ]]; then
      _value=${BASH_REMATCH[2]%\"}
      printf '  --%-22s %s [%s]\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[3]}" "${_value#\"}"
    elif [[ $_line =~ ^[[:space:]]+#[[:space:]]*(.*)$ ]]; then
      printf '  %-24s   %s\n' "" "${BASH_REMATCH[1]}"
    elif [[ $_line =~ ^#[[:space:]](.*)$ ]]; then
      printf '%s\n' "${BASH_REMATCH[1]}"
    fi
  done
}

_options_fail() {
  echo "$(basename "$0"): error: $*" >&2
  exit 2
}

if "$_kaldi"; then
  _given=
  for _value in "$@"; do
    case $_given/$_value in
      */--config=*) _value=${_value#*=} ;;
      --config/*) ;;
      *) _given=$_value; continue ;;
    esac
    _given=
    [ -r "$_value" ] || _options_fail "--config $_value: no such file"
    # shellcheck disable=SC1090
    . "$_value"
  done
fi
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h)
      if "$_kaldi"; then printf '%s\n' "${help_message:-no help for $(basename "$0")}"; else _options_help; fi
      exit 0
      ;;
    --*=*)
      _name=${1%%=*}
      _value=${1#*=}
      shift
      ;;
    --*)
      _name=$1
      [ $# -ge 2 ] || _options_fail "$1 needs a value (see --help)"
      _value=$2
      shift 2
      ;;
    *)
      if "$_kaldi"; then break; fi
      _options_fail "unexpected argument '$1': options look like --name value (see --help)"
      ;;
  esac
  _given=$_name
  _name=${_name#--}
  _name=${_name//-/_}
  for _alias in ${option_aliases:-}; do
    if [ "$_name" = "${_alias%%:*}" ]; then _name=${_alias#*:}; fi
  done
  if "$_kaldi"; then
    if [ "$_name" = config ]; then continue; fi
    if [[ ! $_name =~ ^[a-z][a-z_0-9]*$ || -z ${!_name+x} ]]; then _options_fail "unknown option ${_given}"; fi
  elif ! _options_names | grep -qx -- "$_name"; then
    _close=$(_options_names | grep -i -- "^${_name:0:3}" | sed 's/^/--/' | tr '\n' ' ' || true)
    _options_fail "unknown option ${_given}${_close:+; did you mean ${_close% }?} (see --help)"
  fi
  if [[ ${!_name} =~ ^(true|false)$ && ! $_value =~ ^(true|false)$ ]]; then
    _options_fail "${_given} takes true or false, not '${_value}'"
  fi
  if "$_kaldi"; then
    : # its scripts take -1, 12.5 or 1e-2 where the default is 10
  elif [[ ${!_name} =~ ^[0-9]+$ && ! $_value =~ ^[0-9]+$ ]]; then
    _options_fail "${_given} takes a whole number, not '${_value}'"
  elif [[ ${!_name} =~ ^[0-9]+\.[0-9]+$ && ! $_value =~ ^[0-9]*\.?[0-9]+$ ]]; then
    _options_fail "${_given} takes a number, not '${_value}'"
  fi
  printf -v "$_name" '%s' "$_value"
done
unset _kaldi _given _name _value _alias _close
