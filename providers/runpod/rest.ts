// RunPod's REST API v2 (https://docs.runpod.io/api-reference-v2/overview), by fetch.
import { ProviderError } from '../errors.ts'
import { askParts, callOfPart, type OfPart } from '../parts.ts'
import type { MissingPart } from '../provider.ts'
import type { Api, NewPod, Pod, Quote, Registry, Standing } from './api.ts'
import { type Asked, lost, refusal } from './errors.ts'
import { bounded, fetchWhole, headersOf, urlOf } from './http.ts'
import { shapeOf } from './offers.ts'
import type { Cloud, RunpodProviderOptions } from './options.ts'

interface RestPod {
  id: string
  name: string
  status: string
  env: Record<string, string> | null
  cost: number
  createdAt: string
}

interface RestGpuType {
  id: string
  name: string
  manufacturer: string
  memory: number
  price: { secure: number; community: number }
  maxCount: { secure: number; community: number }
  availability?: string
  dataCenters?: { id: string; availability: string }[]
}

type Method = 'GET' | 'POST' | 'DELETE'
type Ask = (
  asked: Asked,
  method: Method,
  path: string,
  signal: AbortSignal,
  body?: object,
) => Promise<unknown>

export function openRest(options: RunpodProviderOptions): Api {
  const ask = asker(options)
  const pods = async (signal: AbortSignal): Promise<Pod[]> => {
    const asked = read('listPods')
    return listIn<RestPod>(await ask(asked, 'GET', '/v2/pods', signal), 'pods', asked).map(podOf)
  }
  const unknown: Standing = {
    balance_usd: null,
    spend_usd_per_hour: null,
    spend_limit_usd_per_hour: null,
  }
  return {
    name: 'rest',
    pods,
    podsAndStanding: async (signal) => ({ pods: await pods(signal), standing: unknown }),
    async create(pod, signal) {
      const asked = { ...change('createPod'), creates: true }
      return idIn(await ask(asked, 'POST', '/v2/pods', signal, bodyOf(pod, options)), asked)
    },
    async terminate(id, signal) {
      await ask(change('deletePod'), 'DELETE', `/v2/pods/${encodeURIComponent(id)}`, signal)
    },
    async registries(signal) {
      const asked = read('listRegistries')
      return listIn<Registry>(await ask(asked, 'GET', '/v2/registries', signal), 'registries', asked)
    },
    async saveRegistry(registry, signal) {
      const asked = change('createRegistry')
      return idIn(await ask(asked, 'POST', '/v2/registries', signal, registry), asked)
    },
    async deleteRegistry(id, signal) {
      await ask(change('deleteRegistry'), 'DELETE', `/v2/registries/${encodeURIComponent(id)}`, signal)
    },
    quotes: (signal, missing) => quotes(ask, options, signal, missing),
  }
}

const read = (what: string): Asked => ({ api: 'rest', what, mutates: false })
const change = (what: string): Asked => ({ api: 'rest', what, mutates: true })

function asker(options: RunpodProviderOptions): Ask {
  return async (asked, method, path, signal, body) => {
    const bound = bounded(options, signal)
    let response: Response
    let text: string
    try {
      bound.throwIfAborted()
      response = await fetchWhole(urlOf(options, path), {
        method,
        headers: { ...headersOf(options), ...(body && { 'content-type': 'application/json' }) },
        signal: bound,
        ...(body && { body: JSON.stringify(body) }),
      })
      text = await response.text()
    } catch (error) {
      // Not as its cause: what fetch throws may show what was sent.
      throw lost(asked, bound.aborted ? 'no answer in time' : `not answered (${(error as Error).name})`)
    }
    if (!response.ok) throw refusal(asked, response.status, [detailIn(text)])
    if (response.status === 204) return null
    try {
      return JSON.parse(text) as unknown
    } catch {
      throw lost(asked, 'the answer is not JSON')
    }
  }
}

/** Of a problem (RFC 9457); '' of anything else. */
function detailIn(text: string): string {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown }
    return typeof detail === 'string' ? detail : ''
  } catch {
    return ''
  }
}

function listIn<Item>(answer: unknown, name: string, asked: Asked): Item[] {
  const list = (answer as Record<string, unknown> | null)?.[name]
  if (Array.isArray(list)) return list as Item[]
  throw lost(asked, 'the answer is no list')
}

function idIn(answer: unknown, asked: Asked): string {
  const id = (answer as { id?: unknown } | null)?.id
  if (typeof id === 'string' && id !== '') return id
  throw lost(asked, 'the answer names nothing')
}

function podOf({ id, name, status, env, cost, createdAt }: RestPod): Pod {
  const installation = env?.['BERTH_INSTALLATION'] ?? null
  const state = states[status] ?? 'unknown'
  return { id, name, installation, state, interruptible: null, usd_per_hour: cost, since: createdAt }
}

const states: Readonly<Record<string, Pod['state']>> = {
  PROVISIONING: 'pending',
  STARTING: 'pending',
  RUNNING: 'running',
  EXITED: 'exited',
  ERROR: 'failed',
  TERMINATED: 'terminated',
}

/** What the machine has beside its GPUs cannot be asked for. */
function bodyOf(pod: NewPod, { min_cuda }: RunpodProviderOptions): object {
  // "Preferred data centers": of one there is no other.
  const dataCenterIds = pod.data_center === null ? null : [pod.data_center]
  if (pod.bid !== null) throw new ProviderError('rejected', { provider: 'runpod', detail: noBids })
  return {
    name: pod.name,
    image: pod.image,
    args: pod.args,
    env: pod.env,
    disk: pod.disk_gb,
    cloud: pod.cloud.toUpperCase(),
    gpu: {
      id: pod.gpu_type,
      count: pod.gpu_count,
      ...(min_cuda !== undefined && { minCudaVersion: min_cuda }),
    },
    ...(dataCenterIds && { dataCenterIds }),
    ...(pod.registry !== null && { registry: pod.registry }),
  }
}

export const noBids = 'REST v2 has no interruptible pods: set transport to graphql while that is there'

/** One request for each cloud. Stock is that of one GPU: every count asked for would be a request of sixty a minute. */
const quotes = (
  ask: Ask,
  options: RunpodProviderOptions,
  signal: AbortSignal,
  missing?: (part: MissingPart) => void,
): Promise<Quote[]> =>
  askParts(
    options.clouds.map((cloud) => ({
      name: `${cloud} cloud`,
      has: (offer: OfPart) => shapeOf(offer)?.cloud === cloud,
      ask: (of: AbortSignal) => quotesOf(ask, options, cloud, callOfPart(of, options.call_ms)),
    })),
    { signal, missing },
  )

async function quotesOf(
  ask: Ask,
  options: RunpodProviderOptions,
  cloud: Cloud,
  signal: AbortSignal,
): Promise<Quote[]> {
  const asked = read('listGpuTypes')
  const query = new URLSearchParams({ include: 'AVAILABILITY', product: 'POD', cloud: cloud.toUpperCase() })
  if (options.min_cuda !== undefined) query.set('minCudaVersion', options.min_cuda)
  const answer = await ask(asked, 'GET', `/v2/catalog/gpus?${query.toString()}`, signal)
  const types = listIn<RestGpuType>(answer, 'gpus', asked).filter((each) => each.manufacturer === 'NVIDIA')
  const places = cloud === 'secure' && options.data_centers ? options.data_centers : [null]
  const found: Quote[] = []
  for (const type of types)
    for (const place of places)
      for (const count of options.gpu_counts) {
        const price = type.price[cloud]
        if (!(price > 0) || count > type.maxCount[cloud]) continue
        const stock =
          place === null ? type.availability : type.dataCenters?.find(({ id }) => id === place)?.availability
        found.push({
          gpu_type: type.id,
          name: type.name,
          memory_gib: type.memory,
          count,
          cloud,
          data_center: place,
          price,
          bid: null,
          in_stock: stock !== undefined && stock !== 'NONE',
          cpu: null,
          memory: null,
        })
      }
  return found
}
