# Completion of nsrelay for bash. Names of rules and namespaces are those of the running daemon; where
# none answers there are none.

# The commands, or the options of a command, one a line.
_nsrelay_options() {
  case $1 in
    '') printf '%s\n' --help --version ;;
    run) printf '%s\n' --help --config --log-level --log-target ;;
    check) printf '%s\n' --help --config ;;
    demo | doctor) printf '%s\n' --help ;;
    status) printf '%s\n' --help --control --json ;;
    connections) printf '%s\n' --help --control --json --rule --netns ;;
    reload | top) printf '%s\n' --help --control ;;
    drain) printf '%s\n' --help --control --json --rule --timeout ;;
  esac
}

# What `status --json` has in the list $1 (rules, namespaces) under "name", one a line.
# $2: the program, $3: the control socket, empty for the default one.
_nsrelay_names() {
  local json
  json=$(timeout 3 "$2" status --json ${3:+--control "$3"} 2>/dev/null) || return 0
  json=${json#*\""$1"\":[}
  [[ $1 == rules ]] && json=${json%%\"namespaces\":[*}
  # A name with anything that JSON has to escape cannot be typed without care: left out.
  grep -o '"name":"[^"\\]*"' <<<"$json" | cut -d'"' -f4
}

# The words that may stand behind option $1. $2 and $3 as for _nsrelay_names.
_nsrelay_values() {
  case $1 in
    --log-level) printf '%s\n' trace debug info warn error ;;
    --log-target) printf '%s\n' auto journal stderr ;;
    --rule) _nsrelay_names rules "$2" "$3" ;;
    --netns) _nsrelay_names namespaces "$2" "$3" ;;
  esac
}

_nsrelay() {
  local line=${COMP_LINE:0:COMP_POINT} word current option='' command='' control='' positional=''
  local -a words
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  current=${words[-1]}

  # What stands before the cursor's word: the command, the socket, and an option that waits for a value.
  for word in "${words[@]:1:${#words[@]}-2}"; do
    if [[ $option ]]; then
      [[ $option == --control ]] && control=$word
      option=
      continue
    fi
    case $word in
      --control=*) control=${word#*=} ;;
      -c | --config | --control | --log-level | --log-target | --rule | --netns | --timeout) option=$word ;;
      -*) ;;
      *) if [[ $command ]]; then positional=$word; else command=$word; fi ;;
    esac
  done
  if [[ ! $option && $current == --*=* ]]; then
    option=${current%%=*}
    current=${current#*=}
  fi

  local candidates=''
  COMPREPLY=()
  case $option in
    -c | --config | --control)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
    ?*) candidates=$(_nsrelay_values "$option" "${words[0]}" "$control") ;;
    *)
      if [[ $current == -* ]]; then
        candidates=$(_nsrelay_options "$command")
      elif [[ ! $command ]]; then
        candidates=$'run\ncheck\nstatus\nconnections\nreload\ndrain\ntop\ndemo\ndoctor'
      elif [[ $command == drain && ! $positional ]]; then
        candidates=$(_nsrelay_names namespaces "${words[0]}" "$control")
      fi
      ;;
  esac
  # Not by `compgen -W`, which would expand what a name says.
  while IFS= read -r word; do
    [[ $word && $word == "$current"* ]] && COMPREPLY+=("$(printf %q "$word")")
  done <<<"$candidates"
  # Readline takes what is behind a colon (pid:42) for a word of its own.
  if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("${COMPREPLY[@]#"${current%:*}:"}")
  fi
}

complete -F _nsrelay nsrelay
