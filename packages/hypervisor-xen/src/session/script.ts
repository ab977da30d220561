/**
 * The shell script that runs on the Xen host while a guest is captured by stream. It needs sh, xl, cat, sed,
 * mktemp and mkfifo, and nothing of fitdoc.
 *
 * stdout: the stream. stdin: one word a line, `stop` and `go` for the sender; its end ends the session.
 * stderr: what xl says, and lines that start with `fitdoc:`.
 * Words: $1 remus or save, $2 domain, $3 ms between checkpoints, $4 longest pause in s, $5 s between looks.
 *
 * Three things keep the guest from being left suspended, none of which needs fitdoc alive: the receiver dies
 * with the pipe to fitdoc (xl then resumes the guest); the end of stdin lets a stopped sender go and ends the
 * receiver; and the watch lets a stopped sender go whose guest is suspended, and ends the receiver when
 * nothing flows during a pause. The watch also ends a session whose guest has ended.
 */
export const SESSION_SCRIPT = String.raw`
mode=$1 domain=$2 interval=$3 limit=$4 look=$5
work=$(mktemp -d) || exit 70
exec 3>&1 4<&0 </dev/null

state() { xl list "$domain" 2>/dev/null | sed -n 's/.* \([-r][-b][-p][-s].[-d]\) .*/\1/p'; }
suspended() {
  case $1 in
    ???ss?) return 0 ;;
    *) return 1 ;;
  esac
}
ended() {
  case $1 in
    ???s[!s]? | ?????d) return 0 ;;
    '') xl list >/dev/null 2>&1 ;;
    *) return 1 ;;
  esac
}
receiver() { cat "$work/receiver" 2>/dev/null; }
end_receiver() {
  pid=$(receiver)
  if [ -n "$pid" ]; then kill -9 "$pid" 2>/dev/null; else kill "$sender" 2>/dev/null; fi
}
flowed() { sed -n 's/^wchar: //p' "/proc/$(receiver)/io" 2>/dev/null; }

if [ "$mode" = remus ]; then
  answer='xl migration receiver ready, send binary domain data.'
  xl remus -F -n -d -i "$interval" -s "sh -c 'echo \$\$ >$work/receiver; echo \"$answer\"; exec 5>&1; exec cat >&3' --" \
    "$domain" fitdoc 4<&- >&2 &
  sender=$!
else
  mkfifo "$work/pipe" || exit 70
  cat <"$work/pipe" >&3 4<&- &
  echo $! >"$work/receiver"
  xl save -c "$domain" "$work/pipe" 3>&- 4<&- >&2 &
  sender=$!
fi

(
  while read -r word; do
    case $word in
      stop) kill -STOP "$sender" ;;
      go) kill -CONT "$sender" ;;
    esac
  done <&4
  kill -CONT "$sender" 2>/dev/null
  end_receiver
) 3>&- >/dev/null &
control=$!

(
  still=0 before=
  while sleep "$look" 2>/dev/null; do
    kill -0 "$sender" 2>/dev/null || exit 0
    is=$(state)
    if ended "$is"; then
      # xl would wait for a minute for such a guest to suspend itself.
      echo "fitdoc: the guest has ended" >&2
      kill -CONT "$sender"
      kill "$sender"
      exit
    elif suspended "$is"; then
      kill -CONT "$sender" 2>/dev/null
      now=$(flowed)
      if [ "$now" = "$before" ]; then still=$((still + look)); else still=0; fi
      before=$now
      if [ "$still" -ge "$limit" ]; then
        echo "fitdoc: nothing was taken for $still s while the guest was suspended" >&2
        end_receiver
        still=0
      fi
    else
      still=0
    fi
  done
) 3>&- 4<&- >/dev/null &
watch=$!

wait "$sender"
status=$?
kill "$control" "$watch" 2>/dev/null
if [ "$mode" != remus ]; then
  # A sender that never opened the pipe would leave the receiver waiting for one.
  : 1<>"$work/pipe"
  wait "$(receiver)" 2>/dev/null
fi
if suspended "$(state)"; then echo "fitdoc: the guest is suspended" >&2; fi
rm -rf "$work"
exit "$status"
`;
