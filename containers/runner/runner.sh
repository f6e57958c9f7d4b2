#!/bin/sh
# The runner for images without Python: POSIX sh with sed, tr, find, head, tail and one of curl and wget.
# The same protocol as berth_runner: spec, started, heartbeat, log, stop, files, finished. It is told by
# BERTH_URL, BERTH_ATTEMPT_ID and BERTH_TOKEN, and works in BERTH_HOME. Checkpoints need the one in Python.
set -u
umask 077
: "${BERTH_URL:?is not set}" "${BERTH_ATTEMPT_ID:?is not set}" "${BERTH_TOKEN:?is not set}"
home=${BERTH_HOME:-${TMPDIR:-/tmp}/berth-$BERTH_ATTEMPT_ID}
mkdir -p "$home/work" && cd "$home" || exit 70
base=$BERTH_URL/v1/attempts/$BERTH_ATTEMPT_ID
token=$BERTH_TOKEN
unset BERTH_TOKEN # the program must not read it
chunk_bytes=49152     # every byte may be escaped to six
files_max=1000
result_max_bytes=524288
report_for_s=86400    # results outlive an outage of Berth by a day
post_max_bytes=67108864 # wget holds a file in memory

# The token stays out of argument lists, which everybody on the machine reads.
printf 'header = "Authorization: Bearer %s"\n' "$token" >curl.conf
have() { command -v "$1" >/dev/null 2>&1; }
if have curl; then client=curl; else client=wget; fi
if [ $client = wget ]; then
  # GNU wget reads its headers from a file; busybox has no file and takes them as arguments.
  printf 'header = Authorization: Bearer %s\n' "$token" >wgetrc
  case $(wget --version 2>&1) in *GNU*) client=gnu ;; esac
fi

# call METHOD PATH [FILE [TYPE]]: the answer is in the file `answer`. 0: done, 1: not heard, 2: over, 3: refused.
call() {
  type=${4:-application/json}
  case $client in
    curl)
      set -- "$1" "$2" ${3:+"$3"}
      if [ $# = 2 ]; then body=; elif [ "$1" = PUT ]; then body=-T; else body=--data-binary; fi
      target=${3:-}; [ "$body" = --data-binary ] && target=@$target
      http=$(curl -sS -m "${long:-30}" -K curl.conf -X "$1" -H "Content-Type: $type" ${body:+$body "$target"} \
        -o answer -w '%{http_code}' "$base$2" 2>/dev/null) || http=000 ;;
    gnu)
      said=$(WGETRC=$home/wgetrc wget -T "${long:-30}" -t 1 -O answer --header "Content-Type: $type" \
        ${3:+--post-file="$3"} "$base$2" 2>&1) && http=200 || http=$(status_of "$said") ;;
    wget)
      # Some builds of busybox die of -T.
      limit=''
      if have timeout; then limit="timeout ${long:-30}"; fi
      said=$($limit wget -O answer --header "Authorization: Bearer $token" \
        --header "Content-Type: $type" ${3:+--post-file "$3"} "$base$2" 2>&1) && http=200 || http=$(status_of "$said") ;;
  esac
  case $http in
    2??) return 0 ;;
    410 | 409) return 2 ;;
    400 | 413 | 415 | 422) return 3 ;;
    *) return 1 ;;
  esac
}
status_of() { printf '%s\n' "$1" | sed -n 's/.*\(HTTP\/1\.[01]\|ERROR\) \([0-9][0-9][0-9]\).*/\2/p' | tail -n 1; }

# Text as the inside of a JSON string; a last line without an end gets one.
escaped() {
  tr -d '\000-\010\013\014\016-\037' |
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e "s/$(printf '\t')/\\\\t/g" -e "s/$(printf '\r')/\\\\r/g" -e 's/$/\\n/' |
    tr -d '\n'
}
now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
size_of() { wc -c <"$1" | tr -d ' '; }

# Sends what is new of a stream, one chunk after the other; what is not taken stays for the next time.
number=1 out_at=0 err_at=0
send_log() { # STREAM POSITION
  while :; do
    have_bytes=$(size_of "$1")
    [ "$have_bytes" -gt "$2" ] || break
    tail -c +$(($2 + 1)) "$1" | head -c $chunk_bytes >piece
    # Of whole lines where more follow: a secret that is cut in two is not masked.
    if [ $((have_bytes - $2)) -gt $chunk_bytes ]; then
      sed '$d' piece >lines
      [ ! -s lines ] || cp lines piece
    fi
    sent=$(size_of piece)
    { printf '{"number":%s,"at":"%s","stream":"%s","text":"' "$number" "$(now)" "$1"; escaped <piece; printf '"}'; } >chunk
    call POST /logs chunk; got=$?
    if [ $got = 3 ]; then # no UTF-8: the plain characters of it
      { printf '{"number":%s,"at":"%s","stream":"%s","text":"' "$number" "$(now)" "$1"
        tr -cd '\011\012\015\040-\176' <piece | escaped; printf '"}'; } >chunk
      call POST /logs chunk; got=$?
    fi
    [ $got = 2 ] && over
    [ $got = 0 ] || return
    heed
    number=$((number + 1))
    set -- "$1" $(($2 + sent))
    if [ "$1" = stdout ]; then out_at=$2; else err_at=$2; fi
  done
}

pid='' stop='' kill_at='' beat_s=2
signal() { kill "-$1" "-$pid" 2>/dev/null || kill "-$1" "$pid" 2>/dev/null; }
over() { [ -z "$pid" ] || signal KILL; : >acknowledged; exit 0; }
end_program() { # REASON GRACE_S
  [ -z "$stop" ] || return 0
  stop=$1
  kill_at=$(($(date +%s) + $2))
  [ -z "$pid" ] || signal TERM
}
# What every answer may hold.
heed() {
  order=$(sed -n 's/.*"stop":{"reason":"\([a-z_]*\)","grace_ms":\([0-9]*\).*/\1 \2/p' answer)
  [ -z "$order" ] || end_program "${order% *}" $((${order#* } / 1000))
  beat=$(sed -n 's/.*"next_heartbeat_ms":\([0-9]*\).*/\1/p' answer)
  [ -z "$beat" ] || beat_s=$(((beat + 999) / 1000))
}
# Until Berth has it or a day has passed. 3: it does not want it.
until_heard() { # METHOD PATH [FILE]
  wait_s=1 give_up=$(($(date +%s) + report_for_s)) refusals=0
  while :; do
    call "$@"; got=$?
    if [ $got = 0 ]; then [ "$1" = GET ] || heed; return 0; fi
    [ $got = 2 ] && over
    [ $got = 3 ] && refusals=$((refusals + 1))
    [ $refusals -ge 3 ] && return 3
    [ "$(date +%s)" -lt $give_up ] || return 1
    sleep $wait_s
    wait_s=$((wait_s < 15 ? wait_s * 2 : 15))
  done
}

[ ! -e acknowledged ] || exit 0
[ -e instance ] || { cat /proc/sys/kernel/random/uuid 2>/dev/null || echo "$$-$(date +%s)"; } >instance
failure='' code='' message=''
until_heard GET '/spec?format=sh' || { cat answer >&2; exit 70; }
cp answer spec.sh
printf '{"type":"started","instance":"%s","host":{}}' "$(cat instance)" >report
until_heard POST /report report
notice() { printf '{"type":"preempting","at":"%s"}' "$(now)" >notice; call POST /report notice; end_program preempted 10; }
trap notice TERM INT
trap '' HUP

if [ -e program ]; then
  failure=runner_crashed message='the runner was killed or its machine restarted while the program ran'
  rm -f spec.sh
elif [ -n "$stop" ]; then
  rm -f spec.sh
else
  : >program
  : >stdout
  : >stderr
  # The spec sets the arguments, exports the variables and says timeout_s and outputs; Berth has quoted them.
  cat >start.sh <<'START'
. ./spec.sh
rm -f spec.sh start.sh
cd work && exec "$@"
START
  timeout_s=$(sed -n 's/^timeout_s=//p' spec.sh | head -n 1 | tr -d "'")
  grace_s=$(sed -n 's/^grace_s=//p' spec.sh | head -n 1 | tr -d "'")
  sed -n '2,/^# end$/s/^# //p' spec.sh | sed '$d' >outputs
  started_at=$(date +%s)
  if have setsid; then setsid sh start.sh >stdout 2>stderr </dev/null & else sh start.sh >stdout 2>stderr </dev/null & fi
  pid=$!
  beaten_at=0
  while kill -0 "$pid" 2>/dev/null; do
    at=$(date +%s)
    [ $((at - started_at)) -lt "${timeout_s:-86400}" ] || end_program timed_out "${grace_s:-30}"
    [ -z "$kill_at" ] || [ "$at" -lt "$kill_at" ] || signal KILL
    send_log stdout $out_at
    send_log stderr $err_at
    if [ $((at - beaten_at)) -ge $beat_s ]; then
      beaten_at=$at
      printf '{"type":"heartbeat"}' >report
      call POST /report report; got=$?
      [ $got = 2 ] && over
      [ $got = 0 ] && heed
    fi
    sleep 1 & wait $! # a signal ends the wait and not the sleep
  done
  while :; do # a signal interrupts a wait
    wait "$pid"; code=$?
    kill -0 "$pid" 2>/dev/null || break
  done
  signal KILL # what it left behind
  if [ "$stop" = timed_out ]; then failure=timed_out
  elif [ -z "$stop" ] && [ "$code" -gt 128 ]; then failure=killed message="the program was ended by signal $((code - 128))"
  elif [ "$stop" = preempted ] && [ "$code" != 0 ]; then failure=preempted
  fi
fi

kept=''
artifact() { # PATH below work
  bytes=$(size_of "work/$1")
  encoded=$(printf %s "$1" | sed 's/\//%2F/g')
  if [ $client = curl ]; then
    long=3600 until_heard PUT "/artifacts/$encoded" "work/$1" || return
  else
    have base64 && [ "$bytes" -le $post_max_bytes ] || { echo "berth: $1 is not kept: it needs curl" >>stderr; return; }
    base64 "work/$1" >encoded
    long=3600 until_heard POST "/artifacts/$encoded" encoded || return
  fi
  have sha256sum || return
  sum=$(sha256sum "work/$1")
  kept="$kept${kept:+,}{\"name\":\"$1\",\"bytes\":$bytes,\"sha256\":\"${sum%% *}\"}"
}
wanted() { # PATH: * and ? match / too
  [ "$1" = result.json ] && return 0
  while read -r pattern; do
    # shellcheck disable=SC2254 # it is a pattern
    case $1 in $pattern) return 0 ;; esac
  done <outputs
  return 1
}
if [ "$failure" != runner_crashed ] && [ -d work ] && [ -e outputs ]; then
  count=0
  (cd work && find . -type f) | sed 's/^\.\///' | sort >found
  while read -r path; do
    case $path in *[!A-Za-z0-9._/-]* | '') continue ;; esac
    [ ${#path} -le 200 ] && [ $count -lt $files_max ] && wanted "$path" || continue
    count=$((count + 1))
    artifact "$path"
  done <found
fi
if [ -e stdout ]; then
  tries=0
  while [ $tries -lt 30 ]; do
    send_log stdout $out_at
    send_log stderr $err_at
    [ "$(size_of stdout)" -gt $out_at ] || [ "$(size_of stderr)" -gt $err_at ] || break
    tries=$((tries + 1))
    sleep 2
  done
  if [ -z "$message" ] && [ "$code" != 0 ]; then message=$(tail -c 2000 stderr | sed -n '/[^[:space:]]/h;${x;p;}'); fi
fi
result=null
if [ -f work/result.json ] && [ "$(size_of work/result.json)" -le $result_max_bytes ]; then result=$(cat work/result.json); fi
finished() { # RESULT MESSAGE
  said=$(printf '%s' "$2" | tr -cd '\040-\176' | escaped | sed 's/\\n$//')
  { printf '{"type":"finished","exit_code":%s,"failure":' "${code:-null}"
    if [ -n "$failure" ]; then printf '"%s"' "$failure"; else printf null; fi
    if [ -n "$said" ]; then printf ',"error":{"message":"%s"}' "$said"; else printf ',"error":null'; fi
    printf ',"result":%s,"artifacts":[%s]}' "$1" "$kept"; } >report
  until_heard POST /report report
}
# A result that is no JSON is a file only.
finished "$result" "$message" || finished null "$message"
: >acknowledged
exit "${code:-1}"
