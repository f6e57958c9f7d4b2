// What a pod is started with. RunPod starts a container again whenever it ends, with its disk wiped, and has no dead-man
// switch: so the container runs the work once, ends its own pod, and never ends by itself.
//   https://docs.runpod.io/pods/storage/types, https://github.com/runpod/runpodctl/issues/149
// GraphQL takes `terminateAfter`, and does nothing with it: https://github.com/runpod/runpodctl/pull/330
import type { LaunchRequest, LaunchSecrets } from '../provider.ts'
import { apiUrl, type RunpodProviderOptions } from './options.ts'

/** After our own deadline, which is the one that counts. */
const margin_ms = 15 * 60_000

/**
 * `args` in the form that sets the entry too, which dstack uses and the console documents:
 * https://docs.runpod.io/pods/templates/manage-templates. REST v2 hands it to the same place [not tried on a live account].
 */
export function startOf(
  request: LaunchRequest,
  { token }: LaunchSecrets,
  { url = apiUrl }: Pick<RunpodProviderOptions, 'url'>,
): { args: string; env: Record<string, string> } {
  const env = {
    BERTH_URL: request.berth_url,
    BERTH_ATTEMPT_ID: request.attempt_id,
    BERTH_TOKEN: token,
    BERTH_INSTALLATION: request.installation,
  }
  const by_s = Math.ceil((Date.parse(request.deadline_at) + margin_ms) / 1_000)
  // The image's own entry is the runner, which becomes this at its end.
  if (!request.command) {
    const after = `key=\${RUNPOD_API_KEY:-}\nunset RUNPOD_API_KEY\n${endPod(url)}\nlast`
    return { args: '', env: { ...env, BERTH_AFTER: after } }
  }
  const cmd = [hidden, 'berth', wrapper(url, by_s), ...request.command]
  return { args: JSON.stringify({ entrypoint: ['/bin/sh', '-c'], cmd }), env }
}

/** The work reads what variables a process of its user began with: so the one that stays begins without token and key. */
const hidden = `main=$1 token=$BERTH_TOKEN key=\${RUNPOD_API_KEY:-}
shift
unset BERTH_TOKEN RUNPOD_API_KEY
exec 4<<END
$token
$key
END
exec /bin/sh -c "$main" berth "$@"`

/** https://docs.runpod.io/pods/templates/environment-variables: the pod's own key can end its pod, and reads nothing. */
const endPod = (url: string): string => `set -u
url='${url}' pod=\${RUNPOD_POD_ID:-}
have() { command -v "$1" >/dev/null 2>&1; }
ask() {
  if have curl; then
    printf 'header = "Authorization: Bearer %s"\\n' "$key" |
      curl -fsS -m 30 -A berth -K - -H 'Content-Type: application/json' -d "$2" "$url$1"
  elif have python3; then
    BERTH_KEY=$key python3 -c 'import os, sys, urllib.request as u
h = {"Authorization": "Bearer " + os.environ["BERTH_KEY"], "Content-Type": "application/json", "User-Agent": "berth"}
u.urlopen(u.Request(sys.argv[1], sys.argv[2].encode(), h), timeout=30).read()' "$url$1" "$2"
  else
    wget -q -O - -U berth --header "Authorization: Bearer $key" --header 'Content-Type: application/json' --post-data "$2" "$url$1"
  fi
}
end_pod() {
  [ -n "$pod" ] && [ -n "$key" ] || { echo 'berth: the pod has no key of its own' >&2; return 1; }
  ask "/v2/pods/$pod/action" '{"action":"terminate"}' >/dev/null && return
  ask /graphql "{\\"query\\":\\"mutation { podTerminate(input: {podId: \\\\\\"$pod\\\\\\"}) }\\"}" >/dev/null
}
last() { while :; do end_pod; sleep "\${BERTH_AGAIN_S:-60}"; done; }`

/** With `$@` as the work. A notice to the machine is passed on to it; a watch ends the pod when nobody else does. */
const wrapper = (url: string, by_s: number): string => `read -r token <&4
read -r key <&4
exec 4<&-
${endPod(url)}
(while [ "$(date +%s)" -lt ${by_s} ]; do sleep 30; done; last) &
BERTH_TOKEN=$token "$@" &
work=$!
trap 'kill -TERM "$work" 2>/dev/null' TERM INT
while :; do
  wait "$work"
  kill -0 "$work" 2>/dev/null || break
done
last`
