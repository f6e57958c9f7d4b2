# The program of a machine, as root at its first start (cloud-init). user-data.ts puts before it what is the attempt's own: berth_url,
# attempt, bootstrap, region, role, user; and takes these comments out.
# It exchanges its token at Berth for what it is to run, runs that as a container, stops it gently when ECS takes the machine back, says
# what the runner could not say, and releases the machine. It needs curl, docker, iptables and openssl; GPUs need NVIDIA's driver and its
# container toolkit.
# `shutdown` is no release: a stopped machine is billed on. With a role the machine releases itself; without one Berth does, when the
# runner has reported or the machine is seen Stopped; and whatever else fails, ECS does at the AutoReleaseTime of the launch.
set -u
umask 077
# BERTH_ROOT is set by tests alone.
root=${BERTH_ROOT-}
# In memory: tokens and passwords never reach the disk.
home=$root/run/berth
work=$root/var/lib/berth
mkdir -p "$home/docker" "$work/home" "$work/tmp" && cd "$home" || exit 1
if [ -n "$user" ]; then chown "$user:$user" "$work/home" "$work/tmp"; else chmod 1777 "$work/home" "$work/tmp"; fi
metadata=http://100.100.100.200/latest
token='' code=null

say() { echo "berth: $*" | tee -a "$root/dev/console" 2>/dev/null; }
uuid() { cat /proc/sys/kernel/random/uuid; }

# Answers stand in the file `answer`; the status is printed, 000 without one. Tokens stay out of argument lists.
call() { # METHOD URL BEARER BODY
  printf 'header = "Authorization: Bearer %s"\n' "$3" >bearer
  status=$(curl -sS -m 30 -K bearer -X "$1" -H 'Content-Type: application/json' --data-binary "$4" \
    -o answer -w '%{http_code}' "$2" 2>/dev/null) || status=000
  echo "$status"
}

# The metadata service answers only to who has fetched a token by PUT (httpTokens: required).
meta() { # PATH
  key=$(curl -sf -m 5 -X PUT -H 'X-aliyun-ecs-metadata-token-ttl-seconds: 300' $metadata/api/token) || return 1
  curl -sf -m 5 -H "X-aliyun-ecs-metadata-token: $key" "$metadata/meta-data/$1"
}

# Deletes this machine with the role's credentials, signed by https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
delete() {
  given=$(meta "ram/security-credentials/$role") && instance=$(meta instance-id) || return 1
  field() { printf %s "$given" | tr -d '\n' | sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }
  host=ecs.$region.aliyuncs.com
  query="Force=true&ForceStop=true&InstanceId=$instance"
  empty=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
  names='host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-security-token;x-acs-signature-nonce;x-acs-version'
  headers="host:$host
x-acs-action:DeleteInstance
x-acs-content-sha256:$empty
x-acs-date:$(date -u +%Y-%m-%dT%H:%M:%SZ)
x-acs-security-token:$(field SecurityToken)
x-acs-signature-nonce:$(uuid)
x-acs-version:2014-05-26"
  hash=$(printf 'POST\n/\n%s\n%s\n\n%s\n%s' "$query" "$headers" "$names" $empty | sha256sum | cut -d ' ' -f 1)
  signature=$(printf 'ACS3-HMAC-SHA256\n%s' "$hash" | openssl dgst -sha256 -hmac "$(field AccessKeySecret)" | sed 's/.* //')
  {
    printf '%s\n' "$headers" | sed 's/^\([a-z0-9-]*\):\(.*\)/header = "\1: \2"/'
    echo "header = \"Authorization: ACS3-HMAC-SHA256 Credential=$(field AccessKeyId),SignedHeaders=$names,Signature=$signature\""
  } >signed
  curl -sf -m 30 -K signed -X POST -o /dev/null "https://$host/?$query"
}

release() {
  rm -rf "$home/docker" bearer order env
  if [ -n "$role" ]; then
    for wait in 1 5 15 30; do
      delete && say released && break
      sleep $wait
    done
  fi
  shutdown -h now
  exit 0
}

# What the runner could not say. What it has said itself counts: this changes nothing then.
fail() { # FAILURE MESSAGE
  say "$1: $2"
  text=$(printf %s "$2" | tr '\n\t' '  ' | tr -cd '\040-\176' | tr -d '"\\' | tail -c 1000)
  body="{\"type\":\"finished\",\"exit_code\":$code,\"failure\":\"$1\",\"error\":{\"message\":\"$text\"}}"
  for wait in 1 2 5 10 20 40 60; do
    case $(call POST "$berth_url/v1/attempts/$attempt/report" "$token" "$body") in
      2?? | 40? | 41? | 422) break ;;
    esac
    sleep $wait
  done
  release
}

# A start after a crash runs nothing again: the container is gone, and Berth starts another attempt once the machine is Stopped.
boots=$root/var/lib/cloud/scripts/per-boot
mkdir -p "$boots" && printf '#!/bin/sh\nshutdown -h now\n' >"$boots/berth" && chmod 700 "$boots/berth"

# Asked for again after a lost answer, by the number that proves that it is the same machine; Berth gives it 15 minutes.
machine=$(uuid)
for wait in 1 2 4 8 15 30 30 60 60 60 60 60 60 60 end; do
  case $(call POST "$berth_url/v1/runner/bootstrap?format=sh" "$bootstrap" "{\"attempt_id\":\"$attempt\",\"machine\":\"$machine\"}") in
    200) break ;;
    401 | 409 | 410 | 422) say "Berth has nothing for this machine: $(tr -cd '\040-\176' <answer | head -c 300)"; release ;;
  esac
  [ $wait != end ] || { say "$berth_url is not reached"; release; }
  sleep $wait
done
mv answer order
# Berth has quoted it: token, image, gpus, registry_*, and the command as the arguments.
. ./order

for wait in 2 5 10 20 30 60 end; do
  docker info >said 2>&1 && break
  [ $wait != end ] || fail provider "Docker does not answer, use an image that has it: $(tail -n 1 said)"
  sleep $wait
done
# Containers read neither the user data nor the role's credentials.
iptables -I DOCKER-USER -d 100.100.100.200 -j DROP 2>said || fail provider "the metadata service is not closed off: $(cat said)"

if [ "$gpus" != 0 ]; then
  # Images that install their driver at the first start need minutes.
  for wait in 10 20 30 60 60 60 60 end; do
    nvidia-smi -L >said 2>&1 && break
    [ $wait != end ] || fail gpu_preflight "no driver of NVIDIA answers, use an image that has one: $(cat said)"
    sleep $wait
  done
fi
export DOCKER_CONFIG=$home/docker
if [ -n "$registry_server" ]; then
  printf %s "$registry_password" | docker login -u "$registry_username" --password-stdin "$registry_server" >said 2>&1 ||
    fail image "$registry_server does not take the credentials: $(cat said)"
fi
for wait in 10 30 end; do
  docker pull -q "$image" >said 2>&1 && break
  [ $wait != end ] || fail image "$image cannot be pulled: $(cat said)"
  sleep $wait
done

printf '%s\n' "BERTH_URL=$berth_url" "BERTH_ATTEMPT_ID=$attempt" "BERTH_TOKEN=$token" \
  BERTH_HOME=/var/lib/berth HOME=/var/lib/berth TMPDIR=/tmp >env
if [ "$gpus" = 0 ]; then echo NVIDIA_VISIBLE_DEVICES=void >>env; gpu=''; else gpu='--gpus all'; fi
entry=''
if [ $# != 0 ]; then entry="--entrypoint=$1"; shift; fi
# A GiB is left for the machine, so that what takes too much is ended, and not what watches it.
memory=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) - 1048576))
docker run -d --name runner --init --pull never $gpu --env-file env ${user:+--user $user:$user} --read-only \
  --cap-drop ALL --security-opt no-new-privileges --pids-limit 32768 --memory "${memory}k" --ipc private --shm-size "$((memory / 2))k" \
  -v "$work/home:/var/lib/berth" -v "$work/tmp:/tmp" --log-opt max-size=10m --log-opt max-file=2 \
  ${entry:+"$entry"} "$image" "$@" >said 2>&1 || {
  case $(cat said) in
    # What Docker says without the container toolkit.
    *'select device driver'*) fail gpu_preflight "use an image with the NVIDIA container toolkit: $(cat said)" ;;
    *) fail image "the container does not start: $(cat said)" ;;
  esac
}
rm -rf env order docker

# ECS says when it takes a spot machine back, about five minutes before (https://help.aliyun.com/document_detail/391181.html): the runner saves a checkpoint and ends, and the next attempt goes
# on from there.
taken=''
while [ "$(docker inspect -f '{{.State.Running}}' runner 2>/dev/null)" = true ]; do
  if [ -z "$taken" ] && taken=$(meta instance/spot/termination-time); then
    say "taken back at $taken"
    docker stop -t 240 runner >/dev/null 2>&1 &
  fi
  sleep 5
done
ended=$(docker inspect -f '{{.State.ExitCode}} {{.State.OOMKilled}}' runner 2>/dev/null) || ended='null false'
code=${ended% *}
[ "$code" != 0 ] || release
[ "$ended" = "$code false" ] || fail out_of_memory 'The container was killed: it used all of its memory.'
[ -z "$taken" ] || fail preempted "The machine was taken back at $taken."
fail runner_crashed "The runner ended with exit code $code and no report."
