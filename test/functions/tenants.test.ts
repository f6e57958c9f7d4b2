// Every operation of the document, asked by everybody who may not: refused, told nothing, and nothing changed.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rights } from '../../functions/_rights.ts'
import { addressOf, type Example, examplesOf } from '../support/examples.ts'
import { person } from '../support/people.ts'
import { tableHashes } from '../support/table-hashes.ts'
import { canary, furnish, type Tenant } from '../support/tenant.ts'
import { openapiText } from '../../infra/write-openapi.ts'
import { openTestWorld, type World } from '../support/world.ts'

interface Operation {
  name: keyof typeof rights
  method: string
  path: string
}
const document = JSON.parse(openapiText()) as {
  paths: Record<string, Record<string, { operationId: string }>>
}
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, { operationId }]): Operation => ({
    name: operationId as keyof typeof rights,
    method: method.toUpperCase(),
    path,
  })),
)

// Refused calls change nothing, so that one tenant serves all of them.
let world: World
let tenant: Tenant
let examples: Record<string, Example>
beforeAll(async () => {
  world = await openTestWorld()
  tenant = await furnish(world)
  examples = examplesOf(tenant)
})
afterAll(() => world[Symbol.asyncDispose]())

const exampleOf = ({ name }: Operation): Example => {
  const example = examples[name]
  if (!example) throw new Error(`test/support/examples.ts has no request for ${name}`)
  return example
}

/** Asks, and checks that the answer holds nothing of the tenant but what was asked with. */
async function ask(operation: Operation, key: string | null, more: Record<string, string> = {}) {
  const example = exampleOf(operation)
  const address = addressOf(operation.path, example)
  const answer = await world.request(operation.method, address, {
    key,
    ...(example.body === undefined ? {} : { body: example.body }),
    headers: { ...(example.type === undefined ? {} : { 'content-type': example.type }), ...more },
  })
  // A stream goes on until the bound of its time.
  if (answer.headers.get('content-type')?.includes('event-stream')) world.advance(2)
  const text = await answer.text()
  const told = `${JSON.stringify([...answer.headers])} ${text}`
  const asked = `${address} ${JSON.stringify(example.body)}`
  const leaks = tenant.canaries.filter((each) => !asked.includes(each) && told.includes(each))
  return { status: answer.status, type: answer.headers.get('content-type'), text, leaks, example }
}

const isOfData = (name: string) => name.includes('Dataset')
/** Prices, bounds and names that every key may read. */
const ofNoService: readonly string[] = [
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

/** Who may not, and the answer that they get. */
function refused({ name }: Operation): [who: string, key: string | null, status: number][] {
  const right = rights[name]
  const { keys, running, machine, theirs, ended, people } = tenant
  const strangers: [string, string | null, number][] = [
    ['no key', null, 401],
    ['a malformed key', 'berth_x', 401],
    ['a key that nobody made', `berth_000000000000_${'0'.repeat(43)}`, 401],
    ['a session that nobody opened', `brs_${'a'.repeat(32)}.${'0'.repeat(43)}`, 401],
  ]
  const over: [string, string | null, number][] = [
    ['an expired key', keys.expired, 401],
    ['a revoked key', keys.revoked, 401],
    ['a runner', running.token, 401],
    ['a session that was logged out', people.ended.secret, 401],
    ['a token of that session', people.ended.token, 401],
  ]
  switch (right) {
    case 'nothing':
      return []
    case 'runner':
      return [
        ...strangers,
        ['an API key', world.key, 401],
        ['the runner of another project', theirs.token, 401],
        ['the runner of another attempt', ended.token, 401],
        ['the machine of the attempt', running.bootstrap, 401],
      ]
    case 'bootstrap':
      return [
        ...strangers,
        ['an API key', world.key, 401],
        ['the runner of the attempt', machine.token, 401],
        ['the machine of another attempt', theirs.bootstrap, 401],
      ]
    case 'caller':
      return [...strangers, ...over]
    case 'session':
      return [...strangers, ...over, ['an API key', world.key, 403]]
    case 'owner or operator':
      return [
        ...strangers,
        ...over,
        ['a viewer', keys.viewer, 403],
        ['a member', keys.member, 403],
        ['a person who views', people.viewer.secret, 403],
        ['a key for another service', keys.forJobs, 403],
        ['an admin of another project', tenant.neighbour.key, 404],
        ['an owner of another project', people.stranger.secret, 404],
      ]
    case 'viewer':
    case 'member':
    case 'admin':
    case 'scraper':
    case 'operator': {
      const rank = ['viewer', 'member', 'admin', 'operator', 'scraper'].indexOf(right)
      return [
        ...strangers,
        ...over,
        ...(rank > 0 ? [['a viewer', keys.viewer, 403] as [string, string, number]] : []),
        ...(rank > 0 ? [['a person who views', people.viewer.secret, 403] as [string, string, number]] : []),
        ...(ofNoService.includes(name)
          ? []
          : ([['a key for another service', isOfData(name) ? keys.forJobs : keys.forData, 403]] as [
              string,
              string,
              number,
            ][])),
        ...(rank > 1 ? [['a member', keys.member, 403] as [string, string, number]] : []),
        ...(rank > 2
          ? ([
              ['an admin of another project', tenant.neighbour.key, 403],
              ['an owner of another project', people.stranger.secret, 403],
            ] as [string, string, number][])
          : []),
      ]
    }
  }
}

test('every operation of the document has a request, and no request is of none', () => {
  expect(Object.keys(examples).toSorted()).toEqual(operations.map(({ name }) => name).toSorted())
})

test.for(operations)('$name refuses whoever has not its right, and nothing changes', async (operation) => {
  const before = await tableHashes(world.deps.db)
  const sent = world.sent.length
  for (const [who, key, status] of refused(operation)) {
    const answer = await ask(operation, key)
    expect([who, answer.status, answer.type, answer.leaks]).toEqual([
      who,
      status,
      'application/problem+json',
      [],
    ])
  }
  expect(await tableHashes(world.deps.db)).toEqual(before)
  expect(world.sent.length).toBe(sent)
})

/** Refused by what their body names; the second time there is no such secret of its own. */
const otherwise: Record<string, number> = { createJob: 422, deleteSecret: 404 }
/** Named by a project itself: another one has names of its own. */
const byName: readonly string[] = ['putSecret', 'deleteSecret']

const ofProjects = operations.filter(
  ({ name }) => !['runner', 'bootstrap', 'nothing', 'session', 'caller'].includes(rights[name]),
)

test.for(ofProjects)('$name shows and gives another project nothing of this one', async (operation) => {
  const { neighbour } = tenant
  const named = operation.path.includes('{') && !byName.includes(operation.name)
  const others = await tableHashes(world.deps.db, neighbour.id)
  const calls = world.model.calls.length
  for (const headers of [{}, { accept: 'text/event-stream' }]) {
    const all = await tableHashes(world.deps.db)
    const answer = await ask(operation, neighbour.key, headers)
    // Its own log tells of the secret that it has just put under the same name, and whom of this project it has invited.
    const own = ['listAudit', 'exportAudit', 'exportProject'].includes(operation.name)
      ? [canary, canary.toLowerCase()]
      : []
    expect(answer.leaks.filter((each) => !own.includes(each))).toEqual([])
    if (['operator', 'scraper'].includes(rights[operation.name])) expect(answer.status).toBe(403)
    else if (named) expect(answer.status).toBe(404)
    else expect([200, 201, 202, 204, ...[otherwise[operation.name] ?? []].flat()]).toContain(answer.status)
    if (answer.status >= 400) expect(await tableHashes(world.deps.db)).toEqual(all)
  }
  // What it may write of its own is its own.
  expect(await tableHashes(world.deps.db, neighbour.id)).toEqual(others)
  expect(world.model.calls.length).toBe(calls)
})

const ofPeople = operations.filter(({ name }) => ['session', 'caller'].includes(rights[name]))
/** By their body they name what is another's, or what they are not. */
const notTheirs: Record<string, number> = {
  deletePerson: 422,
  endSession: 404,
  acceptInvitation: 422,
  createProject: 403,
}

test.for(ofPeople)('$name shows another person nothing of this one’s', async (operation) => {
  const { owner } = tenant.people
  const belongs = { project_id: tenant.neighbour.id, role: 'owner' } as const
  const { secret } = await person(world, `visitor-${operation.name}`, belongs)
  const of = (db: typeof world.deps.db) =>
    db.selectFrom('sessions').selectAll().where('user_id', '=', owner.id).orderBy('id').execute()
  const before = await of(world.deps.db)
  const answer = await ask(operation, secret)
  expect(answer.leaks).toEqual([])
  expect(answer.status).toBe(notTheirs[operation.name] ?? (operation.name === 'logOut' ? 204 : answer.status))
  expect(await of(world.deps.db)).toEqual(before)
})

test('no place, cursor or Last-Event-ID of this project shows another one anything', async () => {
  const { neighbour, ended } = tenant
  const own = (path: string) => world.request('GET', path).then((answer) => answer.json() as Promise<Page>)
  interface Page {
    items: { id: string }[]
    next_cursor: string | null
  }
  const feed = await own('/v1/events?limit=1')
  const jobs = await own('/v1/jobs?limit=1')
  const datasets = await own('/v1/datasets?limit=1')
  const asked: [string, Record<string, string>?][] = [
    [`/v1/events?after=${feed.items[0]?.id}`],
    ['/v1/events', { 'last-event-id': String(feed.items[0]?.id), accept: 'text/event-stream' }],
    [`/v1/jobs?cursor=${jobs.next_cursor}`],
    [`/v1/datasets?cursor=${datasets.next_cursor}`],
    [`/v1/jobs/${ended.job_id}/logs?search=says`],
    [`/v1/usage?group_by=label&label=desk`],
    [`/v1/usage?group_by=project`],
  ]
  for (const [path, headers = {}] of asked) {
    const answer = await world.request('GET', path, { key: neighbour.key, headers })
    if (headers['accept'] !== undefined) world.advance(2)
    const text = await answer.text()
    const leaks = tenant.canaries.filter((each) => !path.includes(each) && text.includes(each))
    expect([path, leaks]).toEqual([path, []])
  }
})

// The last one: it changes and removes what the others ask for. Each refusal above is worth something only if the same
// request is answered to whom it belongs.
test('each of these requests is answered to its owner', async () => {
  const order = Object.keys(examples)
  for (const name of order) {
    const operation = operations.find((each) => each.name === name)
    if (!operation) continue
    const right = rights[operation.name]
    const key =
      right === 'runner'
        ? tenant.running.token
        : right === 'bootstrap'
          ? tenant.machine.bootstrap
          : right === 'session'
            ? tenant.people.owner.secret
            : world.key
    const { status, text, example } = await ask(operation, right === 'nothing' ? null : key)
    const expected = example.owner ?? (status >= 200 && status < 300 ? status : 200)
    expect([name, status, text.slice(0, status === expected ? 0 : 300)]).toEqual([name, expected, ''])
  }
})
