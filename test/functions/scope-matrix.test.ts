// Every operation of the document, asked by a key of each scope alone: whoever lacks the service or the kind is refused, and who has it is not.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rights } from '../../functions/_rights.ts'
import { openapiText } from '../../infra/write-openapi.ts'
import { createKey } from '../../jobs/keys.ts'
import { scopes } from '../../jobs/scopes.ts'
import { addressOf, type Example, examplesOf } from '../support/examples.ts'
import { tableHashes } from '../support/table-hashes.ts'
import { furnish } from '../support/tenant.ts'
import { openTestWorld, type World } from '../support/world.ts'

type Name = keyof typeof rights
interface Operation {
  name: Name
  method: string
  path: string
}
const document = JSON.parse(openapiText()) as {
  paths: Record<string, Record<string, { operationId: Name }>>
}
const byKey = (name: Name) => !['nothing', 'session', 'caller', 'runner', 'bootstrap'].includes(rights[name])
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods)
    .map(([method, { operationId }]): Operation => ({
      name: operationId,
      method: method.toUpperCase(),
      path,
    }))
    .filter(({ name }) => byKey(name)),
)

/** Prices, bounds and names, which every key may read. */
const ofNoService: readonly Name[] = [
  'listOffers',
  'listOfferHistory',
  'listGpus',
  'listLimits',
  'listBudgets',
  'readPolicy',
  'readProject',
  'getProject',
  'readUsage',
]

/** By where it is and how it is asked, not by the server's own tables; the jobs of the tenant are backtests. */
function isWithin(scope: string, { name, method, path }: Operation): boolean {
  if (ofNoService.includes(name)) return true
  const [service, right] = scope.split(':')
  const isAllowed = method === 'GET' ? right !== undefined : right === 'write'
  if (path.startsWith('/v1/datasets')) return service === 'data' && isAllowed
  if (!/^\/v1\/(jobs|events|overview)\b/.test(path)) return scope === 'admin'
  // A list and what is told of all jobs is for who may all kinds; a job and what is submitted name theirs.
  const namesKind = path.includes('{id}') || ['createJob', 'createJobs', 'estimateJob'].includes(name)
  return isAllowed && (service === 'jobs' || (service === 'backtest' && namesKind))
}

let world: World
let keys: Record<string, string>
let examples: Record<string, Example>
beforeAll(async () => {
  world = await openTestWorld()
  examples = examplesOf(await furnish(world))
  const made = scopes.map(async (scope) => {
    const key = await createKey(world.deps, world.project_id, scope, 'admin', null, [scope])
    return [scope, key] as const
  })
  keys = Object.fromEntries(await Promise.all(made))
})
afterAll(() => world[Symbol.asyncDispose]())

async function ask({ name, method, path }: Operation, key: string | undefined) {
  const { body, type, ...example } = examples[name] ?? expect.unreachable()
  const answer = await world.request(method, addressOf(path, example), {
    key: key ?? null,
    ...(body === undefined ? {} : { body }),
    ...(type === undefined ? {} : { headers: { 'content-type': type } }),
  })
  const text = await answer.text()
  return { status: answer.status, text }
}

test('the document has operations that are asked with keys, for each service', () => {
  expect(operations.length).toBeGreaterThan(70)
  for (const scope of scopes)
    expect([scope, operations.some((each) => isWithin(scope, each))]).toEqual([scope, true])
})

test.for(scopes)(
  'a key with the scope %s alone is refused whatever is not within it, and nothing changes',
  async (scope) => {
    const before = await tableHashes(world.deps.db)
    const wrong: unknown[] = []
    for (const operation of operations) {
      const allowed = isWithin(scope, operation)
      // What is allowed and changes something is asked elsewhere (tenants.test.ts).
      if (allowed && operation.method !== 'GET') continue
      const { status, text } = await ask(operation, keys[scope])
      const isRefused = status === 403 && text.includes('"code":"forbidden"')
      if (isRefused === allowed) wrong.push([operation.name, status, text.slice(0, 200)])
    }
    expect(wrong).toEqual([])
    expect(await tableHashes(world.deps.db)).toEqual(before)
  },
)
