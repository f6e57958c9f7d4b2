// Whatever a client sends is answered with something that helps it, and a refused call changes nothing. From seeds alone.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rights } from '../../functions/_rights.ts'
import { openapiText } from '../../infra/write-openapi.ts'
import { addressOf, type Example, examplesOf } from '../support/examples.ts'
import { badBody, brokenTexts, type Draw, drawOf, oddHeaders, oddTexts } from '../support/mutate.ts'
import { tableHashes } from '../support/table-hashes.ts'
import { furnish, type Tenant } from '../support/tenant.ts'
import { openTestWorld, type World } from '../support/world.ts'

/** Of each operation. */
const examplesEach = 40
const seed = process.env['BERTH_FUZZ_SEED'] ?? 'berth'

interface Described {
  operationId: keyof typeof rights
  parameters?: { name: string; in: string }[]
}
const document = JSON.parse(openapiText()) as { paths: Record<string, Record<string, Described>> }
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, described]) => ({ path, method: method.toUpperCase(), described })),
)
const named = operations.map((each) => ({ name: each.described.operationId, ...each }))

let world: World
let tenant: Tenant
let examples: Record<string, Example>
beforeAll(async () => {
  world = await openTestWorld()
  tenant = await furnish(world)
  // Whoever waits moves the clock, so that no wait and no stream lasts.
  world.deps.waker = {
    wake: () => undefined,
    wait: (_, ms) => new Promise((done) => setImmediate(() => (world.advance(ms / 1_000), done()))),
  }
  examples = examplesOf(tenant)
})
afterAll(() => world[Symbol.asyncDispose]())

interface Sent {
  method: string
  address: string
  headers: Record<string, string>
  body?: string
}

/** Something wrong in the path, the query, a header or the body. */
function hostile(draw: Draw, { path, method, described }: (typeof named)[number]): Sent {
  const example = examples[described.operationId] ?? {}
  const pick = (from: readonly string[]) => from[draw(from.length)] ?? ''
  const sent: Sent = { method, address: addressOf(path, example), headers: {} }
  if (example.body !== undefined) {
    sent.headers['content-type'] = example.type ?? 'application/json'
    sent.body = typeof example.body === 'string' ? example.body : JSON.stringify(example.body)
  }
  const queries = (described.parameters ?? []).filter((each) => each.in === 'query').map(({ name }) => name)
  const inPath = path.includes('{')
  const takesBody = example.body !== undefined && example.type === undefined
  switch (draw(takesBody ? 8 : 4)) {
    case 0:
      if (inPath) sent.address = path.replaceAll(/\{\w+\}/g, () => pick(oddTexts))
      else sent.address += `?${pick(oddTexts)}=${pick(oddTexts)}`
      return sent
    case 1: {
      const name = queries.length > 0 && draw(4) > 0 ? pick(queries) : pick(oddTexts)
      sent.address += `?${name}=${pick(oddTexts)}${draw(4) === 0 ? `&${name}=${pick(oddTexts)}` : ''}`
      return sent
    }
    case 2: {
      const [name, value] = oddHeaders[draw(oddHeaders.length)] ?? ['accept', '*/*']
      sent.headers[name] = Buffer.from(value, 'utf8').toString('latin1')
      return sent
    }
    case 3:
      if (method === 'GET') return { ...sent, address: `${sent.address}/` }
      return { ...sent, body: pick(brokenTexts), headers: { 'content-type': 'application/json' } }
    default:
      return { ...sent, body: badBody(draw, example.body) }
  }
}

const keyOf = (name: keyof typeof rights) => {
  const right = rights[name]
  if (right === 'runner') return tenant.running.token
  if (right === 'session') return name === 'logOut' ? tenant.people.last.secret : tenant.people.owner.secret
  return right === 'bootstrap' ? tenant.machine.bootstrap : world.key
}

async function send(name: keyof typeof rights, { method, address, headers, body }: Sent) {
  const given = new Headers({ authorization: `Bearer ${keyOf(name)}` })
  try {
    for (const [header, value] of Object.entries(headers)) given.set(header, value)
  } catch {
    // No client can send it.
    return null
  }
  const noBody = method === 'GET' || method === 'HEAD' || body === undefined
  const answer = await world.app.request(address, { method, headers: given, ...(noBody ? {} : { body }) })
  const text = await answer.text()
  return { status: answer.status, type: answer.headers.get('content-type'), text }
}

const tries = { login_guards: '', audit_log: '' }

/** What is wrong with an answer; null: nothing. */
function faultOf(method: string, answer: NonNullable<Awaited<ReturnType<typeof send>>>): string | null {
  const { status, type, text } = answer
  if (status >= 500 && status !== 503) return `${status} ${text.slice(0, 300)}`
  if (status < 400 || method === 'HEAD' || status === 416) return null
  if (type !== 'application/problem+json') return `${status} as ${type}: ${text.slice(0, 100)}`
  const problem = JSON.parse(text) as { code: string; detail: string; errors: { path: string }[] }
  if (problem.detail === '' || problem.code === '') return `says nothing: ${text.slice(0, 300)}`
  if (text.length > 20_000) return `says too much: ${text.length} characters`
  return null
}

test.for(named)('$name answers whatever is sent, and a refusal changes nothing', async (operation) => {
  const draw = drawOf(`${seed}/${operation.name}`)
  const faults: unknown[] = []
  let before = await tableHashes(world.deps.db)
  for (let n = 0; n < examplesEach; n++) {
    const sent = hostile(draw, operation)
    const answer = await send(operation.name, sent)
    if (answer === null) continue
    const fault = faultOf(operation.method, answer)
    const shown = { ...sent, address: sent.address.slice(0, 200), body: sent.body?.slice(0, 200) }
    if (fault !== null) faults.push({ n, fault, ...shown })
    // Reads write nothing either.
    const mayWrite = answer.status < 400 && operation.method !== 'GET'
    if (!mayWrite && n % 4 !== 3) continue
    const after = await tableHashes(world.deps.db)
    // What strangers try is counted, and noted where it was somebody's password.
    const counted = ['nothing', 'session'].includes(rights[operation.name]) ? tries : {}
    if (!mayWrite && JSON.stringify({ ...after, ...counted }) !== JSON.stringify({ ...before, ...counted }))
      faults.push({ n, fault: `changed ${changed(before, after)} with ${answer.status}`, ...shown })
    before = after
  }
  expect(faults).toEqual([])
  expect(world.logged.splice(0).filter(({ level }) => level === 'error')).toEqual([])
})

const changed = (before: Record<string, string>, after: Record<string, string>) =>
  Object.keys(after)
    .filter((table) => after[table] !== before[table])
    .join(', ')

const isOf = (template: string, address: string) =>
  new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(address)
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'QUERY']

test('a method that a path does not offer is told which ones it does', async () => {
  const before = await tableHashes(world.deps.db)
  for (const path of Object.keys(document.paths)) {
    const offered = Object.keys(document.paths[path] ?? {}).map((each) => each.toUpperCase())
    for (const method of methods) {
      if (offered.includes(method) || (method === 'HEAD' && offered.includes('GET'))) continue
      const headers = { authorization: `Bearer ${world.key}` }
      const address = path.replaceAll(/\{\w+\}/g, 'x')
      // Some paths are also another path's {id}.
      if (method === 'HEAD' || operations.some((each) => each.method === method && isOf(each.path, address)))
        continue
      const answer = await world.app.request(address, { method, headers })
      const text = await answer.text()
      expect([method, path, answer.status, answer.headers.get('allow')?.split(', ')]).toEqual([
        method,
        path,
        405,
        expect.arrayContaining(offered) as string[],
      ])
      expect(text).toContain('"code":"method_not_allowed"')
    }
  }
  expect(await tableHashes(world.deps.db)).toEqual(before)
})
