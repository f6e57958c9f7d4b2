// Runs attempts as pods of a RunPod account, on demand or interruptible. RunPod has no exit codes: the runner's report is the
// only source of them, and the container ends its own pod (start.ts).
import type { Found, Handle, Observation, Provider, Ref } from '../provider.ts'
import { type Api, openApi, type Pod } from './api.ts'
import { checksOf } from './check.ts'
import { launch, podsOf, registryName, terminate } from './launch.ts'
import { callsOf, offersOf } from './offers.ts'
import type { RunpodProviderOptions } from './options.ts'
import { tailOf } from './tail.ts'

const traits = {
  runs_images: true,
  launch_token: false,
  inspect_batch: 500,
  // No document says how soon a list shows what was made; nobody has written of more than seconds.
  list_lag_ms: 15_000,
  boot_s: 120,
  // dstack waits 20 minutes for large images.
  boot_bound_s: 1_500,
  min_billing_s: 0, // by the second: https://docs.runpod.io/pods/pricing
  dead_man_min_s: 0,
  // The policy that REST v2 shows is 60 a minute: https://docs.runpod.io/api-reference-v2/overview
  calls_per_s: 1,
  billing: 'billed',
} as const

export function createRunpodProvider(options: RunpodProviderOptions): Provider {
  const { account, installation } = options
  const api = openApi(options)
  return {
    name: 'runpod',
    account,
    traits: { ...traits, offer_calls: callsOf(options) },
    check: (signal) => checksOf(api, options, signal),
    offers: async (signal, missing) => offersOf(await api.quotes(signal, missing), options),
    launch: (request, secrets, signal) => launch(api, options, request, secrets, signal),
    async inspect(refs, signal): Promise<Observation[]> {
      if (refs.length === 0) return []
      const pods = await api.pods(signal)
      return refs.map((ref) => observationOf(podOf(pods, ref), ref))
    },
    stop: (ref, signal) => stop(api, ref, signal),
    list: (signal) => list(api, installation, signal),
    tail: async (ref, signal) => {
      const pod = ref.handle ? idIn(ref.handle, 'pod') : podOf(await api.pods(signal), ref)?.id
      return pod ? tailOf(options, pod, signal) : ''
    },
  }
}

const idIn = (handle: Handle, name: 'pod' | 'registry'): string | null => {
  const id = handle[name]
  return typeof id === 'string' ? id : null
}

function podOf(pods: readonly Pod[], { handle, request }: Ref): Pod | undefined {
  if (!handle) return request ? podsOf(pods, request)[0] : undefined
  const id = idIn(handle, 'pod')
  return pods.find((pod) => pod.id === id)
}

function observationOf(pod: Pod | undefined, { request }: Ref): Observation {
  if (!pod || pod.state === 'terminated') return { state: 'gone', detail: null }
  switch (pod.state) {
    case 'pending':
      return { state: 'pending', detail: 'its image is pulled, or its container starts' }
    case 'running':
      return { state: 'running', detail: null }
    case 'failed':
      return { state: 'exited', exit_code: null, detail: 'RunPod cannot start its container' }
    case 'exited': {
      // Pods of ours have no volume and are ended, never stopped: of those that may be taken away, this one was.
      const isTaken = pod.interruptible ?? request?.offer.spot ?? false
      const detail = isTaken ? 'its GPU was taken by a higher bid' : 'it was stopped'
      return { state: 'exited', exit_code: null, detail, reason: isTaken ? 'preempted' : null }
    }
    case 'unknown':
      return { state: 'unseen', detail: 'RunPod tells a status that is not known' }
  }
}

async function stop(api: Api, { handle, request }: Ref, signal: AbortSignal): Promise<void> {
  if (!handle) {
    const all = request ? podsOf(await api.pods(signal), request) : []
    for (const pod of all) if (pod.state !== 'terminated') await terminate(api, pod.id, signal)
    return
  }
  const [pod, registry] = [idIn(handle, 'pod'), idIn(handle, 'registry')]
  if (pod !== null) await terminate(api, pod, signal)
  if (registry === null) return
  const forgotten = forget(api, registry, signal)
  // RunPod keeps it while the pod that is ending uses it, and list() tells of it when that is gone.
  await (pod === null ? forgotten : forgotten.catch(() => undefined))
}

/** In which words GraphQL says that there is none is not known, so it is looked for. */
async function forget(api: Api, registry: string, signal: AbortSignal): Promise<void> {
  const all = await api.registries(signal)
  if (all.some(({ id }) => id === registry)) await api.deleteRegistry(registry, signal)
}

async function* list(api: Api, installation: string, signal: AbortSignal): AsyncIterable<Found> {
  // Credentials first: of one that was saved meanwhile the pod is there.
  const registries = await api.registries(signal)
  const pods = (await api.pods(signal)).filter(
    (pod) => pod.installation === installation && pod.state !== 'terminated',
  )
  for (const { id, name, usd_per_hour, since } of pods)
    yield { name, attempt_id: attemptOf(name), handle: { pod: id }, usd_per_hour, since }
  const used = new Set(pods.map(({ name }) => registryName({ name, installation })))
  for (const { id, name } of registries)
    if (name.startsWith('berth-') && name.endsWith(`-${installation}`) && !used.has(name))
      yield { name, attempt_id: null, handle: { registry: id }, usd_per_hour: 0, since: null }
}

/** Pods carry the name of their attempt: `berth-<6 of installation>-<suffix of the attempt id>`. */
function attemptOf(name: string): string | null {
  const suffix = /^berth-[a-z0-9]{1,6}-([a-z0-9]{26})$/.exec(name)?.[1]
  return suffix === undefined ? null : `att_${suffix}`
}
