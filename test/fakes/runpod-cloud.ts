// The account behind RunPod's APIs: pods on a clock of the test, stock, prices, balance, and what it bills.

export interface FakeGpu {
  id: string
  name: string
  manufacturer: string
  memory: number
  secure: number
  community: number
  /** Least bid; null: not sold so. */
  bid: number | null
  most: number
  vcpu: number
  ram: number
}

export interface FakePod {
  id: string
  name: string
  image: string
  args: string
  env: Record<string, string>
  gpu: FakeGpu
  count: number
  cloud: 'SECURE' | 'COMMUNITY'
  data_center: string
  disk_gb: number
  registry: string | null
  /** USD an hour for each GPU; null: on demand. */
  bid: number | null
  created_ms: number
  visible_ms: number
  /** Its container, the last time that it was started. */
  started_ms: number
  starts: number
  end: { ms: number; how: 'terminated' | 'exited' } | null
  log: string[]
}

export type NewFakePod = Pick<
  FakePod,
  'name' | 'image' | 'args' | 'env' | 'count' | 'cloud' | 'disk_gb' | 'registry' | 'bid'
> & { gpu_type: string; data_centers: readonly string[]; cpu: number; ram: number }

/** Why it makes no pod. */
export type Refusal = 'no_stock' | 'balance' | 'limit' | 'no_gpu_type' | 'no_registry' | 'bid'
export class Refused extends Error {
  readonly refusal: Refusal
  constructor(refusal: Refusal) {
    super(refusal)
    this.refusal = refusal
  }
}

const boot_ms = 30_000
/** "the pod 404s within two seconds": what is terminated is seen so until then. */
const leaving_ms = 2_000
export const dataCenters = ['EU-RO-1', 'US-KS-2', 'CA-MTL-1']
/** https://docs.runpod.io/pods/pricing: 0.10 USD for a GB and a month, of 730 hours here. */
const disk_usd = 0.1 / 730

export const fakeGpus = (): FakeGpu[] => [
  {
    id: 'NVIDIA GeForce RTX 4090',
    name: 'RTX 4090',
    manufacturer: 'Nvidia',
    memory: 24,
    secure: 0.69,
    community: 0.34,
    bid: 0.2,
    most: 8,
    vcpu: 6,
    ram: 41,
  },
  {
    id: 'NVIDIA A100-SXM4-80GB',
    name: 'A100 SXM',
    manufacturer: 'Nvidia',
    memory: 80,
    secure: 1.49,
    community: 0,
    bid: null,
    most: 2,
    vcpu: 16,
    ram: 117,
  },
  {
    id: 'AMD Instinct MI300X OAM',
    name: 'MI300X',
    manufacturer: 'AMD',
    memory: 192,
    secure: 2.49,
    community: 0,
    bid: null,
    most: 8,
    vcpu: 24,
    ram: 283,
  },
]

export function createCloud() {
  const state = {
    now_ms: Date.parse('2026-10-01T00:00:00Z'),
    lag_ms: 0,
    gpus: fakeGpus(),
    /** `<gpu type>@<data center>` */
    out: new Set<string>(),
    balance: 100,
    spend_limit: 80,
    pods: [] as FakePod[],
    registries: [] as { id: string; name: string; username: string; password: string }[],
    ids: 0,
  }
  const idOf = () => `${(++state.ids).toString(36).padStart(4, '0')}kq7m2x9v4t`
  const isAlive = ({ end }: FakePod) => end === null
  const hasStock = (type: string, data_center: string) => !state.out.has(`${type}@${data_center}`)
  const spend = () => state.pods.filter(isAlive).reduce((sum, pod) => sum + costOf(pod), 0)
  const costOf = ({ gpu, count, cloud, bid, disk_gb }: FakePod): number =>
    (bid ?? (cloud === 'SECURE' ? gpu.secure : gpu.community)) * count + disk_gb * disk_usd
  return {
    state,
    hasStock,
    spend,
    costOf,
    isAlive,
    /** A second call makes a second pod. */
    create(asked: NewFakePod): FakePod {
      const { gpu_type, data_centers, ...given } = asked
      const gpu = state.gpus.find(({ id }) => id === gpu_type)
      if (!gpu) throw new Refused('no_gpu_type')
      if (given.registry !== null && !state.registries.some(({ id }) => id === given.registry))
        throw new Refused('no_registry')
      const data_center = (data_centers.length > 0 ? data_centers : dataCenters).find((each) =>
        hasStock(gpu_type, each),
      )
      const fits =
        given.count <= gpu.most && given.cpu <= gpu.vcpu * given.count && given.ram <= gpu.ram * given.count
      if (data_center === undefined || !fits) throw new Refused('no_stock')
      if (given.bid !== null && (gpu.bid === null || given.bid < gpu.bid)) throw new Refused('bid')
      const pod: FakePod = {
        ...given,
        id: idOf(),
        gpu,
        data_center,
        created_ms: state.now_ms,
        visible_ms: state.now_ms + state.lag_ms,
        started_ms: state.now_ms + boot_ms,
        starts: 1,
        end: null,
        log: [],
      }
      // An hour's worth has to be there, and all together have a limit.
      if (state.balance < costOf(pod)) throw new Refused('balance')
      if (spend() + costOf(pod) > state.spend_limit) throw new Refused('limit')
      state.pods.push(pod)
      return pod
    },
    /** What the lists show. */
    seen: (): FakePod[] =>
      state.pods.filter(
        ({ visible_ms, end }) =>
          state.now_ms >= visible_ms && !(end?.how === 'terminated' && state.now_ms >= end.ms + leaving_ms),
      ),
    terminate(id: string): boolean {
      const pod = state.pods.find((each) => each.id === id)
      if (!pod || (pod.end?.how === 'terminated' && state.now_ms >= pod.end.ms + leaving_ms)) return false
      // What was taken away before costs nothing since.
      pod.end = { ms: Math.min(pod.end?.ms ?? state.now_ms, state.now_ms), how: 'terminated' }
      return true
    },
    /** Its entry ended: the container is started again, and its disk is new. */
    entryEnds(pod: FakePod): void {
      pod.starts++
      pod.started_ms = state.now_ms
    },
    isRunning: (pod: FakePod) => pod.end === null && state.now_ms >= pod.started_ms,
    saveRegistry(given: { name: string; username: string; password: string }) {
      const registry = { ...given, id: idOf() }
      state.registries.push(registry)
      return registry
    },
    /** 'in use': while a pod is pulled with it. */
    deleteRegistry(id: string): 'done' | 'in use' | 'missing' {
      const at = state.registries.findIndex((each) => each.id === id)
      if (at < 0) return 'missing'
      if (state.pods.some((pod) => isAlive(pod) && pod.registry === id)) return 'in use'
      state.registries.splice(at, 1)
      return 'done'
    },
    /** Seconds until now, and USD: by the second, from the start. */
    billed(pod: FakePod): { seconds: number; usd: number } {
      const seconds = Math.ceil(((pod.end?.ms ?? state.now_ms) - pod.created_ms) / 1_000)
      return { seconds, usd: (seconds * costOf(pod)) / 3_600 }
    },
  }
}

export type Cloud = ReturnType<typeof createCloud>
