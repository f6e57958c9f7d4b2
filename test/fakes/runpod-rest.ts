// RunPod's REST API v2: requests and answers are checked by the schemas of the vendor's OpenAPI document.
import { readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { bodies } from './runpod-recorded.ts'
import { type Cloud, dataCenters, type FakePod, Refused } from './runpod-cloud.ts'
import type { Caller } from './runpod-graphql.ts'
import type { WireAnswer, WireRequest } from './wire.ts'

interface Operation {
  operationId: string
  query: { name: string; schema: { type?: string }; explode?: false }[]
  body?: object
  answers: Record<string, object | null>
}

const document = JSON.parse(readFileSync(new URL('./runpod-openapi.json', import.meta.url), 'utf8')) as {
  operations: Record<string, Operation>
}
const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true })
ajv.addSchema(document, 'openapi')
const validators = new Map<object, ValidateFunction>()

/** References are to the document that the schema stands in. */
function errorsOf(schema: object, value: unknown): string[] {
  const absolute = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/')) as object
  const check = validators.get(schema) ?? ajv.compile(absolute)
  validators.set(schema, check)
  if (check(value)) return []
  return (check.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
}

export function answerRest(cloud: Cloud, request: WireRequest, caller: Caller): WireAnswer {
  const { method, path, query, body } = request
  const id = decodeURIComponent(/^\/v2\/(?:pods|registries)\/([^/]+)/.exec(path)?.[1] ?? '')
  const route = `${method} ${path.replace(/^(\/v2\/(?:pods|registries)\/)[^/]+/, '$1{id}')}`
  const operation = document.operations[route]
  if (!operation) return bodies.rest_404
  const parsed = body === '' ? undefined : (JSON.parse(body) as unknown)
  const wrong = [...queryErrors(operation, query), ...bodyErrors(operation, parsed)]
  if (wrong.length > 0) return unprocessable(wrong)
  // A pod's own key ends its pod, and reads nothing.
  if (caller.pod !== null && (caller.pod !== id || operation.operationId !== 'podAction'))
    return bodies.rest_403
  const answer = carryOut(cloud, operation.operationId, id, query, parsed)
  const schema = operation.answers[answer.status]
  if (answer.status < 300 && schema && !answer.stays_open) {
    const odd = errorsOf(schema, JSON.parse(answer.body))
    if (odd.length > 0) throw new Error(`the fake answers ${route} with what RunPod would not: ${odd[0]}`)
  }
  return answer
}

function queryErrors({ query: known }: Operation, query: URLSearchParams): string[] {
  return [...query.keys()].flatMap((name) => {
    const parameter = known.find((each) => each.name === name)
    if (!parameter) return [`${name} is no parameter`]
    const text = query.get(name) ?? ''
    const { type } = parameter.schema
    const value = type === 'array' ? text.split(',') : type === 'integer' ? Number(text) : text
    return errorsOf(parameter.schema, value)
  })
}

function bodyErrors({ body }: Operation, given: unknown): string[] {
  if (!body) return given === undefined ? [] : ['there is a body']
  return errorsOf(body, given ?? null)
}

const unprocessable = (errors: string[]): WireAnswer => ({
  ...bodies.rest_422,
  body: JSON.stringify({ ...(JSON.parse(bodies.rest_422.body) as object), errors }),
})

/** Docs: "The `RateLimit` and `RateLimit-Policy` headers also accompany successful responses". */
const limits = { 'ratelimit-policy': '"minute";q=60;w=60, "hour";q=3000;w=3600, "day";q=50000;w=86400' }
const json = (status: number, value: unknown): WireAnswer => ({
  status,
  headers: limits,
  body: JSON.stringify(value),
})
const nothing: WireAnswer = { status: 204, headers: limits, body: '' }

function carryOut(
  cloud: Cloud,
  operation: string,
  id: string,
  query: URLSearchParams,
  body: unknown,
): WireAnswer {
  const { state } = cloud
  switch (operation) {
    case 'listPods':
      return json(200, { pods: cloud.seen().map((pod) => viewOf(cloud, pod)) })
    case 'createPod':
      return create(cloud, body as CreatePod)
    case 'podAction':
      // The others are not used.
      if ((body as { action: string }).action !== 'terminate') return bodies.rest_400
      return cloud.terminate(id) ? nothing : bodies.rest_404
    case 'deletePod':
      return cloud.terminate(id) ? nothing : bodies.rest_404
    case 'getPodLogs':
      return logsOf(
        cloud.seen().find((pod) => pod.id === id),
        query,
      )
    case 'listRegistries':
      return json(200, { registries: state.registries.map((each) => ({ id: each.id, name: each.name })) })
    case 'createRegistry': {
      const made = cloud.saveRegistry(body as { name: string; username: string; password: string })
      return json(201, { id: made.id, name: made.name })
    }
    case 'deleteRegistry': {
      // "Registry credential is in use by a pod and cannot be deleted": 400
      const done = cloud.deleteRegistry(id)
      return done === 'done' ? nothing : done === 'in use' ? bodies.rest_400 : bodies.rest_404
    }
    default:
      return json(200, { gpus: state.gpus.map((gpu) => gpuTypeOf(cloud, gpu, query)) })
  }
}

interface CreatePod {
  name: string
  image: string
  args?: string
  env?: Record<string, string>
  disk?: number
  cloud?: 'SECURE' | 'COMMUNITY'
  gpu?: { id: string; count?: number }
  dataCenterIds?: string[]
  registry?: string | null
}

function create(cloud: Cloud, body: CreatePod): WireAnswer {
  // Exactly one of gpu and cpu, "enforced at the handler layer".
  if (!body.gpu) return bodies.rest_400
  try {
    const pod = cloud.create({
      name: body.name,
      image: body.image,
      args: body.args ?? '',
      env: body.env ?? {},
      gpu_type: body.gpu.id,
      count: body.gpu.count ?? 1,
      cloud: body.cloud ?? 'SECURE',
      data_centers: body.dataCenterIds ?? [],
      disk_gb: body.disk ?? 10,
      registry: body.registry ?? null,
      bid: null,
      cpu: 1,
      ram: 1,
    })
    return json(201, viewOf(cloud, pod))
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    if (error.refusal === 'no_stock') return bodies.rest_no_stock
    return error.refusal === 'balance' ? bodies.rest_402 : bodies.rest_400
  }
}

const statusOf = (cloud: Cloud, pod: FakePod) => {
  if (pod.end) return pod.end.how === 'exited' ? 'EXITED' : 'TERMINATED'
  if (cloud.isRunning(pod)) return 'RUNNING'
  return cloud.state.now_ms < pod.created_ms + 5_000 ? 'PROVISIONING' : 'STARTING'
}

const actions: Readonly<Record<string, string[]>> = {
  RUNNING: ['stop', 'restart', 'terminate'],
  EXITED: ['start', 'terminate'],
  TERMINATED: [],
}

function viewOf(cloud: Cloud, pod: FakePod) {
  const status = statusOf(cloud, pod)
  const isRunning = status === 'RUNNING'
  return {
    id: pod.id,
    name: pod.name,
    image: pod.image,
    args: pod.args,
    disk: pod.disk_gb,
    ports: [],
    env: pod.env,
    registry: pod.registry,
    status,
    actions: actions[status] ?? ['stop', 'terminate'],
    mounts: {},
    gpu: { id: pod.gpu.id, count: pod.count },
    cloud: pod.cloud,
    dataCenterId: pod.data_center,
    cudaVersion: '12.8',
    ssh: { proxy: null, direct: null },
    template: null,
    cost: pod.end ? 0 : cloud.costOf(pod),
    locked: false,
    globalNetworking: { enabled: false },
    runtime: isRunning ? { uptime: Math.floor((cloud.state.now_ms - pod.started_ms) / 1_000) } : null,
    createdAt: new Date(pod.created_ms).toISOString(),
    startedAt: isRunning ? new Date(pod.started_ms).toISOString() : null,
  }
}

function gpuTypeOf(cloud: Cloud, gpu: Cloud['state']['gpus'][number], query: URLSearchParams) {
  const isAsked = query.get('include') === 'AVAILABILITY'
  const isSold = query.get('cloud') === 'COMMUNITY' ? gpu.community > 0 : gpu.secure > 0
  const level = (each: string) => (isSold && cloud.hasStock(gpu.id, each) ? 'HIGH' : 'NONE')
  const places = dataCenters.map((each) => ({ id: each, name: each, availability: level(each) }))
  return {
    id: gpu.id,
    name: gpu.name,
    pool: null,
    manufacturer: gpu.manufacturer.toUpperCase(),
    memory: gpu.memory,
    secure: gpu.secure > 0,
    community: gpu.community > 0,
    price: { secure: gpu.secure, community: gpu.community },
    maxCount: { secure: gpu.most, community: gpu.community > 0 ? gpu.most : 0 },
    ...(isAsked && {
      availability: places.some(({ availability }) => availability === 'HIGH') ? 'HIGH' : 'NONE',
      dataCenters: places,
    }),
  }
}

/** Server-sent events, and no end of them. */
function logsOf(pod: FakePod | undefined, query: URLSearchParams): WireAnswer {
  if (!pod) return bodies.rest_404
  const events = pod.log.slice(-Number(query.get('tail') ?? 100)).map((line, index) => {
    const ts = '2026-10-01T00:00:03Z'
    return `id: ${ts}/${String(index).padStart(12, '0')}\ndata: ${JSON.stringify({ ts, source: 'container', line })}\n\n`
  })
  return {
    status: 200,
    headers: { ...limits, 'content-type': 'text/event-stream', 'cache-control': 'no-cache' },
    body: events.join('') || ': \n\n',
    stays_open: true,
  }
}
