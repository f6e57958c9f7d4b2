// The GPUs that are there or at work, with what their machines say of them.
import { modelOf } from '../providers/gpus.ts'
import type { Device, Offer } from '../providers/provider.ts'
import type { Deps } from './deps.ts'
import { pageOf } from './inventory.ts'
import { accountKey, countPlaced, offerKey } from './store/open.ts'

/** A machine that does not say how it is in this time is shown without. */
const devices_ms = 5_000
/** GPUs at work that are shown, the newest. */
const maxAtWork = 1_000

export interface GpuQuery {
  provider?: string | undefined
  /** By model. */
  gpu?: string | undefined
  limit: number
  cursor?: string | undefined
}

/** What a machine says of one of its GPUs; null: it has not. */
type Figures = Omit<Device, 'offer' | 'region'> & { at: string | null }

const unknown: Omit<Figures, 'index'> = {
  memory_used_gib: null,
  utilization: null,
  temperature_c: null,
  power_w: null,
  driver: null,
  cuda: null,
  at: null,
}

/** GPUs of fixed capacity whether they work or not, and those of elsewhere that work for this project. */
export async function listGpus(deps: Deps, project_id: string, query: GpuQuery) {
  const { provider, gpu } = query
  const views = (await gpusNow(deps, project_id))
    .filter((view) => provider === undefined || view.provider === provider)
    .filter(({ model }) => gpu === undefined || modelOf(gpu).key === modelOf(model).key)
    .map((view) => ({ key: gpuKey(view), view }))
  return pageOf(views, query)
}

/** The same of one project or, for null, of all. */
export async function gpusNow(deps: Deps, project_id: string | null) {
  const open = await countPlaced(deps.db)
  const [held, working] = [await devicesNow(deps), await atWork(deps, project_id)]
  const fixed = deps.offers().flatMap(({ offer, place: name }) => {
    if (!offer.gpu || offer.slots === null) return []
    const running = open.get(`offer:${name}`) ?? 0
    const place = { ...placeOf(offer), attempt_id: null, running, slots: offer.slots }
    const told = held.by_offer.get(offerKey(offer))
    // Who tells of machines tells of each GPU once, though offers may be parts of one another.
    if (told || held.accounts.has(accountKey(offer)))
      return (told ?? []).map((figures) => gpuView(place, offer.gpu, figures))
    const seen = working.find(({ offer: key }) => key === offerKey(offer))?.gpus ?? []
    return Array.from({ length: offer.gpu.count }, (_, n) =>
      gpuView(place, offer.gpu, seen[n] ?? { index: n, ...unknown }),
    )
  })
  const known = new Set(deps.offers().flatMap(({ offer, name }) => (offer.slots === null ? [] : [name])))
  const elsewhere = working
    .filter(({ offer }) => !known.has(offer))
    .flatMap(({ place, gpu, gpus }) =>
      gpus.map((figures) => gpuView({ ...place, running: 1, slots: null }, gpu, figures)),
    )
  return [...fixed, ...elsewhere]
}

type Gpu = NonNullable<Offer['gpu']>
type Place = ReturnType<typeof placeOf> & { attempt_id: string | null; running: number; slots: number | null }

const placeOf = ({ provider, account, region, id, spot, usd_per_hour }: Offer) => ({
  provider,
  account,
  region,
  offer: id,
  spot,
  usd_per_hour,
})

function gpuView(place: Place, gpu: Gpu | null, { index, memory_used_gib, ...rest }: Figures) {
  const memory_gib = gpu?.memory_gib ?? null
  return {
    ...place,
    index,
    model: gpu?.model ?? '',
    compute_capability: gpu?.compute_capability ?? null,
    memory_gib,
    memory_used_gib,
    memory_free_gib:
      memory_gib === null || memory_used_gib === null
        ? null
        : Math.max(0, Math.round((memory_gib - memory_used_gib) * 1_000) / 1_000),
    ...rest,
  }
}

const gpuKey = ({ provider, account, region, offer, attempt_id, index }: ReturnType<typeof gpuView>) =>
  [provider, account, region, offer, attempt_id ?? '', String(index).padStart(3, '0')].join(' ')

interface Held {
  by_offer: Map<string, Figures[]>
  /** Those that have told of any. */
  accounts: Set<string>
}

/** What the machines of fixed capacity say now. */
async function devicesNow(deps: Deps): Promise<Held> {
  const at = deps.clock.now().toISOString()
  const seen: Held = { by_offer: new Map(), accounts: new Set() }
  await Promise.all(
    deps.providers.map(async (provider) => {
      const found = await provider.devices?.(AbortSignal.timeout(devices_ms)).catch((error: unknown) => {
        const { name, account } = provider
        deps.log('warn', 'devices failed', { class: 'gpu', provider: name, account, error: String(error) })
        return []
      })
      for (const { offer, region, ...figures } of found ?? []) {
        const key = offerKey({
          provider: provider.name,
          account: provider.account,
          region,
          id: offer,
          spot: false,
        })
        seen.by_offer.set(key, [...(seen.by_offer.get(key) ?? []), { ...figures, at }])
        seen.accounts.add(accountKey({ provider: provider.name, account: provider.account }))
      }
    }),
  )
  return seen
}

/** Attempts of the project, or of all, that use GPUs, with the last word of their runners. */
async function atWork({ db }: Deps, project_id: string | null) {
  const rows = await db
    .selectFrom('attempts')
    .leftJoin('heartbeats', 'heartbeats.attempt_id', 'attempts.id')
    .select(['attempts.id', 'request', 'host', 'machine', 'heartbeats.at'])
    .$if(project_id !== null, (query) => query.where('attempts.project_id', '=', project_id))
    .where('state', '<>', 'ended')
    .where('bound_at', 'is not', null)
    .where('device', '<>', 'cpu')
    .orderBy('attempts.id', 'desc')
    .limit(maxAtWork)
    .execute()
  return rows.map(({ id, request: { offer }, host, machine, at }) => ({
    offer: offerKey(offer),
    place: { ...placeOf(offer), attempt_id: id },
    gpu: offer.gpu,
    gpus: figuresOf(host, machine, at),
  }))
}

function figuresOf(host: unknown, machine: unknown, at: Date | null): Figures[] {
  const { driver = null, cuda = null, gpus: named } = (host ?? {}) as Record<string, unknown>
  const { gpus: told } = (machine ?? {}) as Record<string, unknown>
  const [names, words] = [asList(named), asList(told)]
  return Array.from({ length: Math.max(names.length, words.length) }, (_, n) => ({
    index: asNumber(names[n]?.['index']) ?? n,
    memory_used_gib: asNumber(words[n]?.['memory_used_gib']),
    utilization: asNumber(words[n]?.['utilization']),
    temperature_c: asNumber(words[n]?.['temperature_c']),
    power_w: asNumber(words[n]?.['power_w']),
    driver: asText(driver),
    cuda: asText(cuda),
    at: at?.toISOString() ?? null,
  }))
}

/** What runners say is theirs: it is shown where it has the expected form. */
const asList = (value: unknown) =>
  Array.isArray(value) ? (value.slice(0, 64) as Record<string, unknown>[]) : []
const asNumber = (value: unknown) => (typeof value === 'number' ? value : null)
const asText = (value: unknown) => (typeof value === 'string' ? value.slice(0, 100) : null)
