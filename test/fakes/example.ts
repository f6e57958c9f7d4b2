// The made-up vendor of docs/example-adapter.ts: machines by name, time by the test, and every control that the suite knows.
import type { Machine } from '../../docs/example-adapter.ts'
import type { BackEnd, Call, EndReason, Fault, WaitReason } from '../../providers/conformance/subject.ts'
import { serveWire, type WireAnswer, type WireRequest } from './wire.ts'

export const exampleKey = 'the-key-of-the-example-0123'

interface FakeMachine extends Machine {
  from_ms: number
  ends_ms: number
  stop_ms: number | null
  end_ms: number | null
}

const boot_ms = 3_000
const stopping_ms = 2_000
const shapes = [
  {
    id: 'cpu-2',
    region: 'north',
    usd_per_hour: 0.08,
    gpu: null,
    cpu: 2,
    memory_gib: 8,
    disk_gib: 50,
    available: 40,
  },
]
const refusals: Partial<Record<Fault, [status: number, code: string]>> = {
  capacity: [409, 'out_of_stock'],
  quota: [403, 'quota_exceeded'],
  balance: [402, 'no_money'],
  throttled: [429, 'slow_down'],
  unauthorized: [401, 'bad_key'],
  rejected: [422, 'invalid'],
  server_error: [500, 'oops'],
}

export async function openExample() {
  const machines = new Map<string, FakeMachine>()
  const hindered = new Map<string, WaitReason>()
  let now_ms = Date.parse('2026-01-01T00:00:00Z')
  let page = 1_000
  const put = (name: string, given: Partial<FakeMachine>) => {
    const machine: FakeMachine = {
      name,
      labels: {},
      state: 'pending',
      exit_code: null,
      reason: null,
      usd_per_hour: 0.08,
      created_at: new Date(now_ms).toISOString(),
      from_ms: now_ms,
      ends_ms: Number.POSITIVE_INFINITY,
      stop_ms: null,
      end_ms: null,
      ...given,
    }
    machines.set(name, machine)
    return machine
  }
  const end = (machine: FakeMachine, at_ms: number, exit_code: number | null, reason: EndReason | null) => {
    if (machine.end_ms === null) Object.assign(machine, { state: 'exited', end_ms: at_ms, exit_code, reason })
  }
  const settle = () => {
    for (const machine of machines.values()) {
      const { from_ms, stop_ms, ends_ms, state } = machine
      if (state === 'pending' && machine.reason === null && now_ms >= from_ms + boot_ms)
        machine.state = 'running'
      if (stop_ms !== null && now_ms >= stop_ms + stopping_ms) end(machine, stop_ms + stopping_ms, 143, null)
      if (now_ms >= ends_ms) end(machine, ends_ms, null, 'deadline')
    }
  }
  const answer = ({ method, path, query, headers, body }: WireRequest): WireAnswer => {
    settle()
    if (headers.authorization !== `Bearer ${exampleKey}`) return refused(401, 'bad_key')
    if (method === 'GET' && path === '/key') return json({ may: ['read', 'create', 'delete'] })
    if (method === 'GET' && path === '/shapes') return json({ shapes })
    if (method === 'GET' && path === '/machines') return listed(query)
    const name = decodeURIComponent(path.replace('/machines/', ''))
    const known = machines.get(name)
    if (method === 'PUT') return json(known ?? created(name, JSON.parse(body) as Record<string, unknown>))
    if (method !== 'DELETE') return refused(405, 'invalid')
    if (!known) return refused(404, 'not_found')
    known.stop_ms ??= now_ms
    return json({})
  }
  const listed = (query: URLSearchParams): WireAnswer => {
    const [label = '', value] = (query.get('label') ?? '').split('=')
    const rest = [...machines.values()]
      .filter(({ name, labels }) => labels[label] === value && name > (query.get('after') ?? ''))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
    const items = rest.slice(0, page)
    return json({ items, next: rest.length > page ? items.at(-1)?.name : null })
  }
  const created = (name: string, body: Record<string, unknown>) => {
    const known = ['shape', 'labels', 'ends_at', 'image', 'command', 'env', 'registry', 'restart']
    const odd = Object.keys(body).find((field) => !known.includes(field))
    if (odd !== undefined) throw new Error(`this vendor has no field ${odd}`)
    const labels = body['labels'] as Record<string, string>
    const reason = hindered.get(labels['berth_attempt'] ?? '') ?? null
    return put(name, { labels, reason, ends_ms: Date.parse(String(body['ends_at'])) })
  }
  const wire = await serveWire({
    answer,
    refusal: (fault, { body, headers }) => {
      if (fault === 'echo') return refused(422, 'invalid', `${body} ${JSON.stringify(headers)}`)
      const [status, code] = refusals[fault] ?? [500, 'oops']
      return refused(status, code)
    },
  })
  const of = (attempt_id: string) =>
    [...machines.values()].filter(({ labels }) => labels['berth_attempt'] === attempt_id)
  const ending = (exit_code: number | null, reason: EndReason | null) => async (attempt_id: string) => {
    await Promise.resolve(of(attempt_id).forEach((each) => end(each, now_ms, exit_code, reason)))
  }
  const hinder = (reason: WaitReason) => async (attempt_id: string) => {
    await Promise.resolve(hindered.set(attempt_id, reason))
  }
  const matches: Record<Call, (request: WireRequest) => boolean> = {
    launch: ({ method }) => method === 'PUT',
    stop: ({ method }) => method === 'DELETE',
    inspect: ({ path }) => path === '/machines',
    list: ({ path }) => path === '/machines',
    offers: ({ path }) => path === '/shapes',
  }
  const back: BackEnd = {
    async things(attempt_id) {
      settle()
      return Promise.resolve(of(attempt_id).filter(({ end_ms }) => end_ms === null).length)
    },
    fail(call, fault, after) {
      wire.spoil(matches[call], fault, after)
      return true
    },
    calm: wire.calm,
    loseAnswer: (call) => wire.lose(matches[call]),
    async vanish(attempt_id) {
      await Promise.resolve(of(attempt_id).forEach(({ name }) => machines.delete(name)))
    },
    finish: (attempt_id, exit_code) => ending(exit_code, null)(attempt_id),
    end: {
      preempted: ending(null, 'preempted'),
      out_of_memory: ending(137, 'out_of_memory'),
      deadline: ending(null, 'deadline'),
    },
    hinder: { image: hinder('image'), capacity: hinder('capacity'), quota: hinder('quota') },
    async foreign() {
      put('web', {})
      await Promise.resolve(put('berth-4q7k2m-x', { labels: { berth_installation: '4q7k2mother' } }))
    },
    pages: (size) => (page = size),
    calls: wire.count,
    deadMan: (attempt_id) => Promise.resolve(new Date(of(attempt_id)[0]?.ends_ms ?? 0)),
    async bill(attempt_id) {
      settle()
      return Promise.resolve(
        of(attempt_id).reduce((sum, { from_ms, end_ms }) => sum + ((end_ms ?? now_ms) - from_ms) / 1_000, 0),
      )
    },
  }
  return {
    url: wire.url,
    back,
    async pass(ms: number) {
      await Promise.resolve((now_ms += ms))
    },
    now: () => now_ms,
    close: wire.close,
  }
}

const json = (value: object): WireAnswer => ({ status: 200, body: JSON.stringify(value) })
const refused = (status: number, code: string, message = code): WireAnswer => ({
  status,
  body: JSON.stringify({ code, message }),
})
