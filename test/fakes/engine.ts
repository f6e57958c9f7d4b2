// The socket of a Docker engine, in memory: what podman cannot be made to show. It answers as Docker 29 does, refuses
// parameters and fields that it does not know, and breaks on demand, before or after a call took effect.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Socket } from 'node:net'

export interface FakeContainer {
  name: string
  labels: Record<string, string>
  created: number
  state: 'created' | 'running' | 'exited' | 'paused' | 'removing' | 'dead'
  exit_code: number
  oom_killed: boolean
  error: string
  /** What was asked for. */
  body: Record<string, unknown>
  folders: boolean
  log: Buffer
}

/** `lost_answer` breaks after the call took effect; the others before. */
export type Break =
  | 'lost_answer'
  | 'reset'
  | 'hang'
  | { status: number; body: string; type?: 'application/json' | 'text/html' }

export interface FakeEngine {
  socket: string
  containers: Map<string, FakeContainer>
  volumes: Map<string, Record<string, string>>
  /** Those that need no pull. */
  images: Set<string>
  /** What a registry says of an image: lines of the stream, or a status and its message; `hold` waits for release(). */
  registry: Map<string, { lines?: object[]; status?: number; message?: string; hold?: true }>
  release(): void
  /** Every call, as `METHOD /path?query` without the version. */
  calls: string[]
  headers: Record<string, string>[]
  version: { ApiVersion: string; MinAPIVersion: string; podman?: true }
  info: Record<string, unknown>
  /** The next call that matches breaks so. */
  breakNext(call: RegExp, how: Break): void
  /** Calls that match break so after the first few, until calm(). `echo` refuses with the whole body in its words. */
  breakFrom(call: RegExp, how: Break | 'echo', after: number): void
  calm(): void
  start(): Promise<void>
  stop(): Promise<void>
  close(): Promise<void>
}

type Reply = { status: number; json?: unknown; bytes?: Buffer }

const body_max_bytes = 1024 * 1024
/** Fields of the body of a create that the engine is known to read. */
const createFields = ['Image', 'Entrypoint', 'Cmd', 'Env', 'Labels', 'WorkingDir', 'User', 'HostConfig']
const hostFields = (
  'NetworkMode ExtraHosts Memory MemorySwap NanoCpus PidsLimit ReadonlyRootfs ShmSize Tmpfs Mounts CapDrop ' +
  'SecurityOpt RestartPolicy AutoRemove LogConfig DeviceRequests'
).split(' ')

export async function openFakeEngine(): Promise<FakeEngine> {
  const folder = mkdtempSync(join(tmpdir(), 'be-'))
  const breaks: { call: RegExp; how: Break }[] = []
  let lasting: { call: RegExp; how: Break | 'echo'; after: number } | null = null
  let held: (() => void)[] = []
  let server: Server | null = null
  const sockets = new Set<Socket>()
  const engine: FakeEngine = {
    socket: join(folder, 'engine.sock'),
    containers: new Map(),
    volumes: new Map(),
    images: new Set(),
    registry: new Map(),
    release() {
      for (const each of held) each()
      held = []
    },
    calls: [],
    headers: [],
    version: { ApiVersion: '1.52', MinAPIVersion: '1.44' },
    info: {
      NCPU: 8,
      MemTotal: 32 * 1024 ** 3,
      DockerRootDir: folder,
      MemoryLimit: true,
      SwapLimit: true,
      CpuCfsQuota: true,
      PidsLimit: true,
      Runtimes: { runc: {}, nvidia: {} },
    },
    breakNext: (call, how) => void breaks.push({ call, how }),
    breakFrom: (call, how, after) => void (lasting = { call, how, after }),
    calm: () => void (lasting = null),
    async start() {
      const started = createServer({ keepAliveTimeout: 10 }, (request, response) => {
        serve(request, response).catch(() => response.destroy())
      })
      started.on('connection', (socket) => {
        sockets.add(socket)
        socket.once('close', () => sockets.delete(socket))
      })
      server = started
      await new Promise<void>((resolve) => started.listen(engine.socket, resolve))
    },
    async stop() {
      const stopped = server
      server = null
      if (stopped === null) return
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => stopped.close(resolve))
    },
    async close() {
      engine.release()
      await engine.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }

  const broken = (call: string, bytes: Buffer): Break | null => {
    const at = breaks.findIndex((each) => each.call.test(call))
    if (at >= 0) return breaks.splice(at, 1)[0]?.how ?? null
    if (!lasting?.call.test(call) || lasting.after-- > 0) return null
    if (lasting.how !== 'echo') return lasting.how
    return { status: 400, body: JSON.stringify({ message: `invalid: ${bytes.toString()}` }) }
  }

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const bytes = await bodyOf(request)
    const [, version = null, rest = ''] = /^(?:\/v([\d.]+))?(\/.*)$/.exec(request.url ?? '') ?? []
    const call = `${request.method} ${rest}`
    engine.calls.push(call)
    engine.headers.push(request.headers as Record<string, string>)
    const how = broken(call, bytes)
    if (how === 'hang') return
    if (how === 'reset') return void response.destroy()
    if (how !== null && typeof how === 'object')
      return void response
        .writeHead(how.status, { 'content-type': how.type ?? 'application/json' })
        .end(how.body)
    if (version !== null && !isServed(engine, version))
      return send(response, problem(400, `client version ${version} is too old or too new`))
    if (call.startsWith('POST /images/create')) return pull(rest, response)
    const reply = answer(engine, request.method ?? '', new URL(rest, 'http://engine'), bytes)
    if (how === 'lost_answer') return void response.destroy()
    send(response, reply)
  }

  const pull = async (rest: string, response: ServerResponse): Promise<void> => {
    const image = new URL(rest, 'http://engine').searchParams.get('fromImage') ?? ''
    const said = engine.registry.get(image) ?? {
      status: 404,
      message: `manifest for ${image} not found: manifest unknown`,
    }
    if (said.status !== undefined) return send(response, problem(said.status, said.message ?? ''))
    response.writeHead(200, { 'content-type': 'application/json' })
    for (const line of said.lines ?? []) response.write(`${JSON.stringify(line)}\r\n`)
    if (said.hold) await new Promise<void>((resolve) => held.push(resolve))
    if (response.destroyed) return
    if (!(said.lines ?? []).some((line) => 'error' in line)) engine.images.add(image)
    response.end()
  }

  await engine.start()
  return engine
}

function answer(engine: FakeEngine, method: string, url: URL, bytes: Buffer): Reply {
  const [, kind = '', ...parts] = decodeURIComponent(url.pathname).split('/')
  const query = url.searchParams
  if (kind === 'version') return { status: 200, json: versionOf(engine) }
  if (kind === 'info') return { status: 200, json: engine.info }
  if (kind === 'images' && method === 'GET' && parts.at(-1) === 'json') {
    const image = parts.slice(0, -1).join('/')
    return engine.images.has(image) ? { status: 200, json: {} } : problem(404, `No such image: ${image}`)
  }
  if (kind === 'volumes') return volumes(engine, method, parts[0] ?? '', query, bytes)
  if (kind === 'containers') return containers(engine, method, parts, query, bytes)
  return problem(404, 'page not found')
}

function versionOf({ version }: FakeEngine) {
  const name = version.podman ? 'Podman Engine' : 'Engine'
  return { Version: '29.1.0', ...version, Components: [{ Name: name }] }
}

function containers(
  engine: FakeEngine,
  method: string,
  [first = '', second = '']: string[],
  query: URLSearchParams,
  bytes: Buffer,
): Reply {
  if (first === 'json') return list(engine, query)
  if (first === 'create') return create(engine, query.get('name') ?? '', JSON.parse(bytes.toString()) as Body)
  const found = engine.containers.get(first)
  if (!found) return problem(404, `No such container: ${first}`)
  switch (`${method} ${second}`) {
    case 'GET json':
      return { status: 200, json: inspect(found) }
    case 'PUT archive':
      found.folders = bytes.subarray(257, 262).toString() === 'ustar' && isSummed(bytes.subarray(0, 512))
      return found.folders ? { status: 200 } : problem(400, 'unexpected EOF')
    case 'POST start':
      if (found.state !== 'created') return { status: 304 }
      found.state = 'running'
      return { status: 204 }
    case 'POST stop':
      if (found.state === 'exited') return { status: 304 }
      if (found.state === 'running') Object.assign(found, { state: 'exited', exit_code: 143 })
      return { status: 204 }
    case 'GET logs':
      return { status: 200, bytes: found.log }
    case 'DELETE ':
      if (found.state === 'removing')
        return problem(409, `removal of container ${first} is already in progress`)
      engine.containers.delete(first)
      return { status: 204 }
    default:
      return problem(404, 'page not found')
  }
}

type Body = { Labels?: Record<string, string>; Image?: string; HostConfig?: Record<string, unknown> }

function create(engine: FakeEngine, name: string, body: Body): Reply {
  const unknown = [
    ...Object.keys(body).filter((key) => !createFields.includes(key)),
    ...Object.keys(body.HostConfig ?? {}).filter((key) => !hostFields.includes(key)),
  ]
  if (unknown.length > 0) return problem(400, `unknown fields: ${unknown.join(', ')}`)
  if (!engine.images.has(body.Image ?? '')) return problem(404, `No such image: ${body.Image}`)
  if (engine.containers.has(name))
    return problem(
      409,
      `Conflict. The container name "/${name}" is already in use by container "0f1e2d". You have to remove (or rename) that container to be able to reuse that name.`,
    )
  engine.containers.set(name, {
    name,
    labels: body.Labels ?? {},
    created: 1_767_225_600,
    state: 'created',
    exit_code: 0,
    oom_killed: false,
    error: '',
    body,
    folders: false,
    log: Buffer.alloc(0),
  })
  return { status: 201, json: { Id: '0f1e2d', Warnings: [] } }
}

function volumes(
  engine: FakeEngine,
  method: string,
  name: string,
  query: URLSearchParams,
  bytes: Buffer,
): Reply {
  const shape = (each: string) => ({
    Name: each,
    Driver: 'local',
    Labels: engine.volumes.get(each) ?? null,
    CreatedAt: '2026-01-01T00:00:00Z',
  })
  if (method === 'POST') {
    const { Name, Labels } = JSON.parse(bytes.toString()) as { Name: string; Labels: Record<string, string> }
    // A name that is there already is answered as it is.
    if (!engine.volumes.has(Name)) engine.volumes.set(Name, Labels)
    return { status: 201, json: shape(Name) }
  }
  if (name === '') {
    const names = [...engine.volumes].filter(([, labels]) => isWanted(labels, query)).map(([each]) => each)
    return { status: 200, json: { Volumes: names.map(shape), Warnings: null } }
  }
  if (!engine.volumes.has(name)) return problem(404, `get ${name}: no such volume`)
  if (method === 'GET') return { status: 200, json: shape(name) }
  if (engine.containers.has(name)) return problem(409, `remove ${name}: volume is in use`)
  engine.volumes.delete(name)
  return { status: 204 }
}

function list(engine: FakeEngine, query: URLSearchParams): Reply {
  const found = [...engine.containers.values()]
    .filter(({ state, labels }) => (query.has('all') || state === 'running') && isWanted(labels, query))
    .map(({ name, labels, state, created }) => ({
      Id: name,
      Names: [`/${name}`],
      Labels: labels,
      State: state,
      Status: 'as the state says',
      Created: created,
    }))
  return { status: 200, json: found }
}

function isWanted(labels: Record<string, string>, query: URLSearchParams): boolean {
  const { label = [] } = JSON.parse(query.get('filters') ?? '{}') as { label?: string[] }
  return label.every((each) => {
    const [name = '', value = ''] = each.split('=')
    return labels[name] === value
  })
}

function inspect({ labels, state, exit_code, oom_killed, error }: FakeContainer) {
  const State = { Status: state, ExitCode: exit_code, OOMKilled: oom_killed, Error: error }
  return { Config: { Labels: labels }, State }
}

function isSummed(header: Buffer): boolean {
  const said = Number.parseInt(header.subarray(148, 154).toString(), 8)
  const counted = Buffer.from(header)
  counted.write('        ', 148)
  return counted.reduce((sum, byte) => sum + byte, 0) === said
}

function isServed({ version }: FakeEngine, asked: string): boolean {
  const minor = (text: string) => Number(text.split('.')[1])
  return minor(asked) >= minor(version.MinAPIVersion) && minor(asked) <= minor(version.ApiVersion)
}

function problem(status: number, message: string): Reply {
  return { status, json: { message } }
}

function send(response: ServerResponse, { status, json, bytes }: Reply) {
  if (bytes) return void response.writeHead(status).end(bytes)
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(json === undefined ? '' : JSON.stringify(json))
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const blocks: Buffer[] = []
  for await (const block of request) {
    blocks.push(block as Buffer)
    if (Buffer.concat(blocks).length > body_max_bytes) throw new Error('too long')
  }
  return Buffer.concat(blocks)
}
