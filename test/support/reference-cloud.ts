// A cloud in memory whose back end has every control, and its adapter, which keeps every promise: what the conformance
// suite is tried on. A defect breaks one promise.
import { ProviderError, type ProviderErrorCode } from '../../providers/errors.ts'
import type {
  Check,
  Found,
  Handle,
  LaunchRequest,
  Observation,
  Offer,
  Provider,
  Ref,
} from '../../providers/provider.ts'
import {
  type BackEnd,
  type Call,
  type EndReason,
  type Fault,
  requestFor,
  type Subject,
  type WaitReason,
} from '../../providers/conformance/subject.ts'

interface Thing {
  id: string
  attempt_id: string | null
  installation: string | null
  name: string
  from_ms: number
  visible_ms: number
  stop_ms: number | null
  end: { ms: number; exit_code: number | null; reason: EndReason | null } | null
  waits: WaitReason | null
  dead_ms: number
  log: string
}

const key = 'the-key-of-the-account-0123'
const registry = { server: 'registry.example.com', username: 'puller', password: 'a-password-of-a-registry' }
const installation = '4q7k2mzz'
const boot_ms = 3_000
const stopping_ms = 2_000
/** Longer than a case waits before it gives a call up. */
const call_ms = 400

type Action = 'Create' | 'Delete' | 'Describe' | 'List' | 'Offers' | 'WhoAmI' | 'Log'
const actionOf: Record<Call, Action> = {
  launch: 'Create',
  stop: 'Delete',
  inspect: 'Describe',
  list: 'List',
  offers: 'Offers',
}

const refusals: Partial<Record<Fault, { status: number; code: string }>> = {
  capacity: { status: 409, code: 'OutOfStock' },
  quota: { status: 403, code: 'QuotaExceeded' },
  balance: { status: 402, code: 'NoMoney' },
  throttled: { status: 429, code: 'SlowDown' },
  unauthorized: { status: 401, code: 'BadKey' },
  rejected: { status: 400, code: 'BadRequest' },
  server_error: { status: 500, code: 'Internal' },
}

function createVendor(defect: string | null) {
  const things = new Map<string, Thing>()
  const tokens = new Map<string, string>()
  const hindered = new Map<string, WaitReason>()
  let [now_ms, lag_ms, page, requests, ids] = [Date.parse('2026-01-01T00:00:00Z'), 0, 100, 0, 0]
  let fault: { action: Action; fault: Fault; after: number } | null = null
  let lost: Action | null = null
  const settle = (): void => {
    for (const thing of things.values()) {
      if (thing.end) continue
      if (thing.stop_ms !== null && now_ms >= thing.stop_ms + stopping_ms)
        thing.end = { ms: now_ms, exit_code: 137, reason: null }
      else if (now_ms >= thing.dead_ms) thing.end = { ms: now_ms, exit_code: null, reason: 'deadline' }
    }
  }
  const put = (given: Partial<Thing>): Thing => {
    const id = `m-${++ids}`
    const thing: Thing = {
      id,
      attempt_id: null,
      installation: null,
      name: id,
      from_ms: now_ms,
      visible_ms: now_ms + lag_ms,
      stop_ms: null,
      end: null,
      waits: null,
      dead_ms: Infinity,
      log: '',
      ...given,
    }
    things.set(id, thing)
    return thing
  }
  const viewOf = (thing: Thing) => {
    const { id, name, attempt_id, installation: owner, from_ms, end, waits, stop_ms } = thing
    const status = end ? 'ended' : waits || now_ms < from_ms + boot_ms ? 'pending' : 'running'
    return { id, name, attempt_id, owner, from_ms, end, waits, stopping: stop_ms !== null, status }
  }
  type Body = Record<string, unknown>
  const carryOut = (action: Action, body: Body): unknown => {
    const visible = [...things.values()].filter((thing) => now_ms >= thing.visible_ms)
    switch (action) {
      case 'Create': {
        const known = things.get(tokens.get(body['token'] as string) ?? '')
        if (known && !(defect === 'forgets-ended' && known.end)) return viewOf(known)
        const attempt_id = body['attempt_id'] as string
        const thing = put({
          attempt_id,
          installation: body['owner'] as string,
          name: body['name'] as string,
          dead_ms: body['dead_ms'] as number,
          waits: hindered.get(attempt_id) ?? null,
        })
        tokens.set(body['token'] as string, thing.id)
        return viewOf(thing)
      }
      case 'Delete': {
        const thing = things.get(body['id'] as string)
        if (!thing) return { missing: true }
        if (thing.attempt_id === null) things.delete(thing.id)
        thing.stop_ms ??= now_ms
        return {}
      }
      case 'Describe': {
        const [asked, names] = [body['ids'] as string[], body['names'] as string[]]
        return visible.filter(({ id, name }) => asked.includes(id) || names.includes(name)).map(viewOf)
      }
      case 'List': {
        const alive = visible.filter(({ end }) => !end)
        const from = Number(body['cursor'] ?? 0)
        const next = from + page < alive.length ? from + page : null
        return { items: alive.slice(from, from + page).map(viewOf), next }
      }
      case 'Log':
        return things.get(body['id'] as string)?.log ?? ''
      case 'Offers':
        return [{ id: 'gpu-1', usd: 0.5 }]
      case 'WhoAmI':
        return {}
    }
  }
  /** As fetch: a status and a text, an error of the connection, or nothing until the signal ends. */
  const request = async (
    action: Action,
    body: Body,
    signal: AbortSignal,
  ): Promise<{ status: number; text: string }> => {
    signal.throwIfAborted()
    await Promise.resolve()
    requests++
    settle()
    if (body['key'] !== key) return { status: 401, text: JSON.stringify({ code: 'BadKey', message: '' }) }
    if (fault?.action === action && fault.after-- <= 0) return spoiled(fault.fault, body, signal)
    const text = JSON.stringify(carryOut(action, body))
    if (lost !== action) return { status: 200, text }
    lost = null
    throw new Error('socket hang up')
  }
  const spoiled = async (kind: Fault, body: Body, signal: AbortSignal) => {
    const refusal = refusals[kind]
    if (refusal) return { status: refusal.status, text: JSON.stringify({ code: refusal.code, message: '' }) }
    if (kind === 'echo')
      return { status: 400, text: JSON.stringify({ code: 'BadRequest', message: JSON.stringify(body) }) }
    if (kind === 'html') return { status: 502, text: '<html><h1>502 Bad Gateway</h1></html>' }
    if (kind === 'malformed') return { status: 200, text: 'OK' }
    if (kind === 'truncated') return { status: 200, text: '{"id": "m-' }
    if (kind === 'reset') throw new Error('read ECONNRESET')
    return new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error))
    })
  }
  const thingOf = (attempt_id: string) =>
    [...things.values()].filter((each) => each.attempt_id === attempt_id)
  const endAll = (attempt_id: string, exit_code: number | null, reason: EndReason | null): Promise<void> => {
    for (const thing of thingOf(attempt_id)) thing.end ??= { ms: now_ms, exit_code, reason }
    return Promise.resolve()
  }
  const hinder = (reason: WaitReason) => (attempt_id: string) => {
    hindered.set(attempt_id, reason)
    return Promise.resolve()
  }
  const back: BackEnd = {
    things: (attempt_id) => {
      settle()
      return Promise.resolve(thingOf(attempt_id).filter(({ end }) => !end).length)
    },
    fail(call, kind, after = 0) {
      fault = { action: actionOf[call], fault: kind, after }
      return true
    },
    calm: () => (fault = null),
    loseAnswer: (call) => (lost = actionOf[call]),
    hide: (ms) => (lag_ms = ms + (defect === 'short-lag' ? 1_000 : 0)),
    async vanish(attempt_id) {
      for (const { id } of thingOf(attempt_id)) things.delete(id)
      await Promise.resolve()
    },
    finish: (attempt_id, exit_code) => endAll(attempt_id, exit_code, null),
    end: {
      preempted: (attempt_id) => endAll(attempt_id, null, 'preempted'),
      out_of_memory: (attempt_id) => endAll(attempt_id, 137, 'out_of_memory'),
      deadline: async (attempt_id) => {
        const [thing] = thingOf(attempt_id)
        await Promise.resolve((now_ms = thing?.dead_ms ?? now_ms))
      },
    },
    hinder: { image: hinder('image'), capacity: hinder('capacity'), quota: hinder('quota') },
    async foreign() {
      put({ installation: 'another0', name: 'berth-anothe-1', attempt_id: 'att_another' })
      await Promise.resolve(put({}))
    },
    helper: () => Promise.resolve(put({ installation, name: 'berth-4q7k2m-helper' }).name),
    pages: (size) => (page = size),
    calls: () => requests,
    deadMan: (attempt_id) => Promise.resolve(new Date(thingOf(attempt_id)[0]?.dead_ms ?? 0)),
    bill: (attempt_id) => {
      const [thing] = thingOf(attempt_id)
      const to_ms = defect === 'bills-on' ? now_ms : (thing?.end?.ms ?? now_ms)
      return Promise.resolve(thing ? (to_ms - thing.from_ms) / 1_000 : 0)
    },
    async print(attempt_id, text) {
      for (const thing of thingOf(attempt_id)) thing.log += text
      await Promise.resolve()
    },
    registry,
  }
  return {
    request,
    back,
    now: () => now_ms,
    pass: (ms: number) => (now_ms += ms),
    fault: () => fault,
    nonce: () => ++ids,
  }
}

type Vendor = ReturnType<typeof createVendor>
type View = ReturnType<
  () => { id: string; name: string; attempt_id: string | null; owner: string | null }
> & {
  from_ms: number
  end: { exit_code: number | null; reason: EndReason | null } | null
  waits: WaitReason | null
  stopping: boolean
  status: 'pending' | 'running' | 'ended'
}

const codes: Record<string, ProviderErrorCode> = {
  OutOfStock: 'capacity',
  QuotaExceeded: 'quota',
  NoMoney: 'balance',
  SlowDown: 'throttled',
  BadKey: 'unauthorized',
  BadRequest: 'rejected',
}

function createAdapter(vendor: Vendor, credential: string, defect: string | null): Provider {
  const is = (name: string) => defect === name
  let count = 0
  const mine = new Map<string, Handle>()
  const ask = async (
    call: Call | 'check' | 'tail',
    action: Action,
    body: object,
    signal: AbortSignal,
  ): Promise<unknown> => {
    const mutates = action === 'Create' || action === 'Delete'
    const fail = (code: ProviderErrorCode, detail: string, cause?: unknown): ProviderError => {
      const spoiled = vendor.fault()
      const isWrong = spoiled !== null && is(`wrong:${call}:${spoiled.fault}`)
      return new ProviderError(isWrong ? 'not_found' : code, { provider: 'reference', detail, cause })
    }
    const timeout = AbortSignal.timeout(call_ms)
    const own = is(`deaf:${call}`) ? new AbortController().signal : AbortSignal.any([signal, timeout])
    let answer: { status: number; text: string }
    try {
      answer = await vendor.request(action, { ...body, key: credential }, own)
    } catch (error) {
      const isLost = (is('lost-launch') && call === 'launch') || (is('lost-stop') && call === 'stop')
      if (isLost && !vendor.fault()) throw fail('unavailable', 'no answer')
      throw fail(
        mutates ? 'unknown_outcome' : 'unavailable',
        `${action} was not answered (${(error as Error).name})`,
      )
    }
    let parsed: unknown
    try {
      parsed = JSON.parse(answer.text)
    } catch {
      throw fail(mutates ? 'unknown_outcome' : 'unavailable', `${action}: HTTP ${answer.status}, and no JSON`)
    }
    if (answer.status === 200) return parsed
    const { code, message } = parsed as { code: string; message: string }
    const detail = is('leaks:message') ? `${action}: ${message}` : `${action}: ${code}`
    const cause = is('leaks:cause') ? Object.assign(new Error('HTTP'), { request: { body } }) : undefined
    throw fail(codes[code] ?? (mutates ? 'unknown_outcome' : 'unavailable'), detail, cause)
  }
  const describe = async (call: Call, refs: readonly Ref[], signal: AbortSignal): Promise<View[]> => {
    const ids = refs.flatMap(({ handle }) => (handle ? [String(handle['id'])] : []))
    const names = refs.flatMap(({ handle, request }) => (handle || !request ? [] : [request.name]))
    return (await ask(call, 'Describe', { ids, names }, signal)) as View[]
  }
  const find = (all: readonly View[], { handle, request }: Ref) =>
    all.find((each) => (handle ? each.id === handle['id'] : each.name === request?.name))
  const observationOf = (view: View | undefined): Observation => {
    if (!view) {
      if (is('gone-throws'))
        throw new ProviderError('not_found', { provider: 'reference', detail: 'no such thing' })
      return { state: 'gone', detail: null }
    }
    const told = <Reason extends string>(reason: Reason | null) => (is(`no-reason:${reason}`) ? null : reason)
    if (view.end)
      return {
        state: 'exited',
        exit_code: is('exit-zero') ? 0 : is('no-exit-codes') ? null : view.end.exit_code,
        detail: is('leaks:observation') ? credential : null,
        reason: told(view.end.reason),
      }
    if (view.stopping && is('early-end')) return { state: 'gone', detail: null }
    if (view.status === 'pending') return { state: 'pending', detail: null, reason: told(view.waits) }
    return { state: 'running', detail: view.stopping ? 'stopping' : null }
  }
  const launch = async (request: LaunchRequest, env: string, signal: AbortSignal): Promise<Handle> => {
    const known = is('memory-only') ? mine.get(request.attempt_id) : undefined
    if (known) return known
    if (is('looks-first') || is('no-launch-token')) {
      const [found] = await describe('launch', [{ attempt_id: '', handle: null, request }], signal)
      if (found) return { id: found.id }
    }
    const body = {
      token:
        is('memory-only') || is('looks-first') || is('no-token') || is('no-launch-token')
          ? `${request.name}-${vendor.nonce()}`
          : request.name,
      attempt_id: request.attempt_id,
      owner: request.installation,
      name: is('long-name') ? `${request.name}-of-the-launch` : request.name,
      dead_ms: Date.parse(request.deadline_at) + (is('switch-at-deadline') ? 0 : 300_000),
      env,
    }
    const made = (await ask(
      'launch',
      'Create',
      body,
      is('deaf-before') ? new AbortController().signal : signal,
    )) as View
    const handle: Handle = {
      id: made.id,
      ...(is('handle-each-time') && { number: ++count }),
      ...(is('handle-date') && { at: new Date(vendor.now()) }),
      ...(is('leaks:handle') && { env: Buffer.from(`BERTH_TOKEN=${env}`).toString('base64') }),
    }
    mine.set(request.attempt_id, handle)
    return handle
  }
  return {
    name: 'reference',
    account: 'main',
    traits: {
      runs_images: true,
      launch_token: !is('no-launch-token'),
      inspect_batch: is('no-batch') ? 0 : 100,
      list_lag_ms: 5_000,
      boot_s: 3,
      boot_bound_s: 300,
      min_billing_s: 0,
      dead_man_min_s: 0,
      calls_per_s: 100,
      billing: 'billed',
    },
    async check(signal): Promise<Check[]> {
      if (is('check-always-ok')) return [{ name: 'key', ok: true, detail: 'it is there' }]
      try {
        await ask('check', 'WhoAmI', {}, signal)
        return [{ name: 'key', ok: !is('check-never-ok'), detail: 'the vendor takes it' }]
      } catch (error) {
        if (is('check-throws')) throw error
        return [{ name: 'key', ok: false, detail: 'the vendor does not take it: make another' }]
      }
    },
    async offers(signal): Promise<Offer[]> {
      const offers = (await ask('offers', 'Offers', {}, signal)) as { id: string; usd: number }[]
      return offers.map(({ id, usd }) =>
        offerOf(is('offer-drift') ? `${id}-${++count}` : id, is('offer-price') ? -1 : usd),
      )
    },
    async devices() {
      const unknown = { memory_used_gib: null, utilization: null, temperature_c: null, power_w: null }
      const device = { offer: is('stray-device') ? 'gpu-9' : 'gpu-1', region: 'here', index: 0 }
      return Promise.resolve([{ ...device, ...unknown, driver: null, cuda: null }])
    },
    launch: (request, secrets, signal) =>
      launch(request, `${secrets.token} ${secrets.registry?.password}`, signal),
    async inspect(refs, signal) {
      if (refs.length === 0) return []
      if (is('launches-on-look-up'))
        for (const { handle, request } of refs) if (!handle && request) await launch(request, '', signal)
      const all: View[] = []
      if (is('one-by-one')) for (const ref of refs) all.push(...(await describe('inspect', [ref], signal)))
      else all.push(...(await describe('inspect', refs, signal)))
      const seen = refs.map((ref) =>
        observationOf(is('handle-only') && !ref.handle ? undefined : find(all, ref)),
      )
      return is('unordered') ? seen.toReversed() : seen
    },
    async stop(ref, signal) {
      if (is('stop-needs-handle') && !ref.handle) return
      const all = ref.handle ? [] : await describe('stop', [ref], signal)
      const id = ref.handle ? ref.handle['id'] : find(all, ref)?.id
      if (id === undefined) return
      if (is('stops-all'))
        for (let each = 1; each < 9; each++) await ask('stop', 'Delete', { id: `m-${each}` }, signal)
      const { missing } = (await ask('stop', 'Delete', { id }, signal)) as { missing?: true }
      if (missing && is('stop-gone-throws'))
        throw new ProviderError('not_found', { provider: 'reference', detail: 'gone' })
    },
    async *list(signal): AsyncIterable<Found> {
      let cursor: number | null = null
      do {
        const { items, next } = (await ask('list', 'List', { cursor }, signal).catch((error: unknown) => {
          if (cursor !== null && is('short-list')) return { items: [], next: null }
          throw error
        })) as { items: View[]; next: number | null }
        for (const { id, name, attempt_id, owner, from_ms } of items)
          if (owner === installation || (is('lists-all') && owner !== null))
            yield {
              name,
              attempt_id: is('helper-as-attempt') ? (attempt_id ?? 'att_unknown') : attempt_id,
              handle: is('list-handle') ? { name } : { id },
              usd_per_hour: 0.5,
              since: new Date(from_ms).toISOString(),
            }
        cursor = is('first-page') ? null : next
      } while (cursor !== null)
    },
    async tail(ref, signal) {
      const text = (await ask('tail', 'Log', { id: ref.handle?.['id'] }, signal)) as string
      if (is('leaks:tail')) return `${text.slice(-60_000)}${credential}`
      return is('whole-tail') ? text : text.slice(-65_536)
    },
  }
}

function offerOf(id: string, usd_per_hour: number): Offer {
  return {
    id,
    provider: 'reference',
    account: 'main',
    region: 'here',
    spot: true,
    usd_per_hour,
    gpu: { model: 'L4', count: 1, memory_gib: 24, compute_capability: '8.9' },
    cpu: 8,
    memory_gib: 32,
    disk_gib: 100,
    available: null,
    slots: null,
  }
}

/**
 * With no defect it passes every case and skips none. `no-launch-token` and `no-exit-codes` are no defects: there are such
 * vendors.
 */
export function referenceSubject(defect: string | null = null): Subject {
  return {
    name: 'reference',
    open() {
      const vendor = createVendor(defect)
      const deadline_at = new Date(vendor.now() + 3_600_000).toISOString()
      return Promise.resolve({
        provider: () => createAdapter(vendor, key, defect),
        request: (attempt_id) => requestFor(attempt_id, offerOf('gpu-1', 0.5), { deadline_at, installation }),
        secrets: [key],
        async pass(ms) {
          await Promise.resolve(vendor.pass(ms))
        },
        patience_ms: 60_000,
        back: { ...vendor.back, stranger: () => createAdapter(vendor, 'wrong', defect) },
        close: () => Promise.resolve(),
      })
    },
  }
}
