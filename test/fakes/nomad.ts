// A Nomad cluster as its HTTP API shows it: texts and statuses of Nomad 1.10 and 2.0, time by the test.
import type { BackEnd, Call, EndReason } from '../../providers/conformance/subject.ts'
import { serveWire, type Vendor, type WireAnswer, type WireRequest } from './wire.ts'

export const nomadToken = '8f9a2d1c-3b4e-4c5d-9e6f-7a8b9c0d1e2f'

interface FakeJob {
  ID: string
  Namespace: string
  Meta: Record<string, string> | null
  Type: string
  Stop: boolean
  SubmitTime: number
  created_ms: number
  stopped_ms: number | null
  queued: boolean
  pull_fails: boolean
  end: { exit_code: number | null; reason: EndReason | null; at_ms: number } | null
  log: string
}

const boot_ms = 2_000
const kill_ms = 1_000
const known = new Set([
  'prefix',
  'meta',
  'namespace',
  'next_token',
  'filter',
  'task',
  'type',
  'plain',
  'origin',
  'offset',
])

export async function openNomad() {
  const jobs = new Map<string, FakeJob>()
  const hindered = new Map<string, 'capacity' | 'image'>()
  let now_ms = Date.parse('2026-01-01T00:00:00Z')
  let page = 1_000
  const put = (given: Partial<FakeJob> & { ID: string }): FakeJob => {
    const job = {
      Namespace: 'default',
      Meta: null,
      Type: 'batch',
      Stop: false,
      SubmitTime: now_ms * 1e6,
      created_ms: now_ms,
      stopped_ms: null,
      queued: false,
      pull_fails: false,
      end: null,
      log: '',
      ...given,
    }
    jobs.set(job.ID, job)
    return job
  }
  const settle = (): void => {
    for (const job of jobs.values()) {
      if (job.end || job.queued) continue
      if (job.stopped_ms !== null && now_ms >= job.stopped_ms + kill_ms)
        job.end = { exit_code: 143, reason: null, at_ms: now_ms }
      else if (job.pull_fails && now_ms >= job.created_ms + boot_ms)
        job.end = { exit_code: null, reason: null, at_ms: now_ms }
    }
  }
  const isAlive = (job: FakeJob) => job.end === null && !(job.queued && job.Stop)
  const paged = <Item extends { ID: string }>(items: Item[], query: URLSearchParams): WireAnswer => {
    const sorted = items.toSorted((a, b) => (a.ID < b.ID ? -1 : 1))
    const token = query.get('next_token')
    const from = token === null ? 0 : sorted.findIndex(({ ID }) => ID >= token)
    const next = sorted[from + page]
    return json(sorted.slice(from, from + page), next && { 'x-nomad-nexttoken': next.ID })
  }
  const stubOf = (job: FakeJob) => {
    const { ID, Namespace, Meta, Type, Stop, SubmitTime, queued } = job
    const Status = !isAlive(job) || Stop ? 'dead' : now_ms < job.created_ms + boot_ms ? 'pending' : 'running'
    const JobSummary = {
      JobID: ID,
      Summary: { runner: { Queued: queued ? 1 : 0, Running: Status === 'running' ? 1 : 0 } },
    }
    return { ID, Name: ID, Namespace, Meta, Type, Stop, SubmitTime, Status, JobSummary }
  }
  const allocationOf = (job: FakeJob) => {
    const { end } = job
    const running = now_ms >= job.created_ms + boot_ms
    const failed = end !== null && (end.exit_code === null || end.exit_code !== 0)
    const ClientStatus = end ? (failed ? 'failed' : 'complete') : running ? 'running' : 'pending'
    return {
      ID: `a-${job.ID}`,
      JobID: job.ID,
      Namespace: job.Namespace,
      ClientStatus,
      DesiredStatus: end?.reason === 'preempted' ? 'evict' : job.Stop ? 'stop' : 'run',
      PreemptedByAllocation: end?.reason === 'preempted' ? '5456bd7a-9fc0-c0dd-6131-cbee77f57577' : '',
      TaskStates: {
        runner: { State: end ? 'dead' : ClientStatus, Failed: failed, Events: eventsOf(job, running) },
      },
    }
  }
  const answer = (request: WireRequest): WireAnswer => {
    settle()
    const { method, path, query, headers } = request
    const odd = [...query.keys()].find((name) => !known.has(name))
    if (odd) throw new Error(`Nomad has no parameter ${odd}`)
    if (headers['x-nomad-token'] !== nomadToken) return text(403, 'ACL token not found')
    const route = `${method} ${path.replace(/^(\/v1\/job\/)[^/]+/, '$1:id').replace(/^(\/v1\/client\/fs\/logs\/).+/, '$1:id')}`
    const id = decodeURIComponent(path.split('/')[3] ?? '')
    switch (route) {
      case 'GET /v1/jobs': {
        const all = [...jobs.values()].filter(({ ID }) => ID.startsWith(query.get('prefix') ?? ''))
        return paged(all.map(stubOf), query)
      }
      case 'GET /v1/allocations': {
        const pattern = /^JobID matches "(.+)"$/.exec(query.get('filter') ?? '')?.[1]
        if (pattern === undefined) return text(400, 'failed to read filter expression')
        const all = [...jobs.values()].filter(({ ID, queued }) => !queued && new RegExp(pattern).test(ID))
        return paged(all.map(allocationOf), query)
      }
      case 'GET /v1/nodes':
        return json([{ ID: 'f476d2b4', Status: 'ready', SchedulingEligibility: 'eligible' }])
      case 'POST /v1/jobs':
        return register(request.body)
      case 'POST /v1/job/:id/plan':
        return json({ JobModifyIndex: 0, Diff: { Type: 'Added' } })
      case 'DELETE /v1/job/:id': {
        const job = jobs.get(id)
        if (job && !job.Stop) Object.assign(job, { Stop: true, stopped_ms: now_ms })
        return json({ EvalID: 'd092fdc0-e1fd-2536-67d8-43af8ca798ac', JobModifyIndex: 36 })
      }
      case 'GET /v1/client/fs/logs/:id': {
        const log = jobs.get((path.split('/')[5] ?? '').slice(2))?.log ?? ''
        return {
          status: 200,
          headers: { 'content-type': 'text/plain' },
          body: log.slice(-Number(query.get('offset'))),
        }
      }
      default:
        return text(404, 'Invalid endpoint')
    }
  }
  const register = (body: string): WireAnswer => {
    const { Job, EnforceIndex, JobModifyIndex } = JSON.parse(body) as {
      Job: Pick<FakeJob, 'ID' | 'Namespace' | 'Meta'>
      EnforceIndex?: boolean
      JobModifyIndex?: number
    }
    if (EnforceIndex && JobModifyIndex === 0 && jobs.has(Job.ID))
      return text(500, 'Enforcing job modify index 0: job already exists')
    const { ID, Namespace, Meta } = Job
    const hindrance = hindered.get(Meta?.['berth_attempt'] ?? '')
    put({ ID, Namespace, Meta, queued: hindrance === 'capacity', pull_fails: hindrance === 'image' })
    return json({ EvalID: 'd092fdc0-e1fd-2536-67d8-43af8ca798ac', JobModifyIndex: 109, Warnings: '' })
  }
  const refusal: Vendor['refusal'] = (fault, { body, headers }) => {
    if (fault === 'throttled')
      return text(429, 'Your IP is issuing too many concurrent connections, please rate limit your calls')
    if (fault === 'unauthorized') return text(403, 'Permission denied')
    if (fault === 'rejected') return text(400, 'Job ID is missing')
    if (fault === 'server_error') return text(500, 'No cluster leader')
    if (fault === 'echo') return text(400, `could not decode ${body} of ${JSON.stringify(headers)}`)
    return null
  }
  const wire = await serveWire({ answer, refusal })
  const of = (attempt_id: string) =>
    [...jobs.values()].filter((job) => job.Meta?.['berth_attempt'] === attempt_id)
  const end = (exit_code: number | null, reason: EndReason | null) => async (attempt_id: string) => {
    for (const job of of(attempt_id)) job.end ??= { exit_code, reason, at_ms: now_ms }
    await Promise.resolve()
  }
  const matches: Record<Call, (request: WireRequest) => boolean> = {
    launch: ({ method, path }) => method === 'POST' && path === '/v1/jobs',
    stop: ({ method }) => method === 'DELETE',
    inspect: ({ path }) => path === '/v1/allocations',
    list: ({ method, path }) => method === 'GET' && path === '/v1/jobs',
    offers: ({ path }) => path === '/v1/nodes',
  }
  const hinder = (by: 'capacity' | 'image') => async (attempt_id: string) => {
    await Promise.resolve(hindered.set(attempt_id, by))
  }
  const back: BackEnd = {
    things: async (attempt_id) => {
      settle()
      return Promise.resolve(of(attempt_id).filter(isAlive).length)
    },
    fail(call, fault, after) {
      if (['capacity', 'quota', 'balance'].includes(fault)) return false
      wire.spoil(matches[call], fault, after)
      return true
    },
    calm: wire.calm,
    loseAnswer: (call) => wire.lose(matches[call]),
    async vanish(attempt_id) {
      await Promise.resolve(of(attempt_id).forEach(({ ID }) => jobs.delete(ID)))
    },
    finish: (attempt_id, exit_code) => end(exit_code, null)(attempt_id),
    end: { preempted: end(143, 'preempted'), out_of_memory: end(137, 'out_of_memory') },
    hinder: { capacity: hinder('capacity') },
    async foreign() {
      put({ ID: 'web', Type: 'service' })
      // The same six letters, and another installation.
      await Promise.resolve(put({ ID: 'berth-4q7k2m-x', Meta: { berth_installation: '4q7k2mother' } }))
    },
    pages: (size) => (page = size),
    calls: wire.count,
    calls_per_inspect: 2,
    async print(attempt_id, said) {
      await Promise.resolve(of(attempt_id).forEach((job) => (job.log += said)))
    },
  }
  return {
    url: wire.url,
    back,
    pullFails: hinder('image'),
    async pass(ms: number) {
      await Promise.resolve((now_ms += ms))
    },
    now: () => now_ms,
    close: wire.close,
  }
}

function eventsOf({ end, pull_fails }: FakeJob, running: boolean) {
  const event = (Type: string, given: object = {}) => {
    return { Type, ExitCode: 0, DisplayMessage: '', DriverError: '', Details: {}, ...given }
  }
  const events = [event('Received', { DisplayMessage: 'Task received by client' })]
  if (pull_fails && end) {
    const DriverError =
      'Failed to pull `registry.example.com/x`: Error response from daemon: manifest unknown'
    return [...events, event('Driver Failure', { DriverError, DisplayMessage: DriverError })]
  }
  if (running || end) events.push(event('Started', { DisplayMessage: 'Task started by client' }))
  if (end && end.exit_code !== null) {
    const DisplayMessage = `Exit Code: ${end.exit_code}`
    const Details = { exit_code: String(end.exit_code), oom_killed: String(end.reason === 'out_of_memory') }
    events.push(event('Terminated', { ExitCode: end.exit_code, DisplayMessage, Details }))
  }
  return events
}

const json = (value: unknown, headers?: Record<string, string>): WireAnswer => {
  return { status: 200, body: JSON.stringify(value), ...(headers && { headers }) }
}
/** Nomad's errors are plain text. */
const text = (status: number, body: string): WireAnswer => {
  return { status, body, headers: { 'content-type': 'text/plain' } }
}
