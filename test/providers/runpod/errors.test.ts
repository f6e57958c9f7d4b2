// Each refusal that RunPod is known to send, to a launch and to a list, and each row of the table.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ProviderError } from '../../../providers/errors.ts'
import { table } from '../../../providers/runpod/errors.ts'
import { matches } from '../../fakes/runpod.ts'
import { bodies, meanings } from '../../fakes/runpod-recorded.ts'
import { openRunpodAccount, type RunpodAccount } from '../../support/runpod-account.ts'

const signal = new AbortController().signal
let account: RunpodAccount

beforeEach(async () => {
  account = await openRunpodAccount()
})

afterEach(() => account.runpod.close())

const failureOf = (work: Promise<unknown>): Promise<ProviderError> =>
  work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: ProviderError) => error,
  )

const names = Object.keys(bodies) as (keyof typeof bodies)[]

describe.each(names)('%s', (name) => {
  const transport = name.startsWith('rest') ? 'rest' : 'graphql'

  test(`is ${meanings[name].launch} to a launch, and ${meanings[name].list} to a list`, async () => {
    const provider = account.open({ transport })
    const request = account.requestOf(await account.offer(provider))
    account.runpod.answerWith(matches.launch, bodies[name])
    const error = await failureOf(account.launch(provider, request))
    expect(error).toMatchObject({ name: 'ProviderError', provider: 'runpod', code: meanings[name].launch })
    expect(error.detail).toMatch(/^(podFindAndDeployOnDemand|createPod): [a-z ]+ \(HTTP \d{3}\)$/)
    account.runpod.answerWith(matches.list, bodies[name])
    expect(await failureOf(account.listed(provider))).toMatchObject({ code: meanings[name].list })
  })
})

test('each row of the table is the meaning of a body that is recorded', () => {
  const rowsOf = (name: (typeof names)[number], creates: boolean) => {
    const { status, body } = bodies[name]
    const api = name.startsWith('rest') ? 'rest' : 'graphql'
    return table.findIndex(
      (row) =>
        (row.says === undefined ? row.status === status : body.includes(row.says)) &&
        (row.api === undefined || row.api === api) &&
        (row.on === undefined || creates),
    )
  }
  const met = new Set(names.flatMap((name) => [rowsOf(name, true), rowsOf(name, false)]))
  expect(table.flatMap(({ words }, index) => (met.has(index) ? [] : [words]))).toEqual([])
})

test('a text is looked at before the status, and a status that is not known says nothing', async () => {
  const provider = account.open({ transport: 'rest' })
  const request = account.requestOf(await account.offer(provider))
  account.runpod.answerWith(matches.launch, { ...bodies.rest_no_stock, status: 418 })
  expect(await failureOf(account.launch(provider, request))).toMatchObject({ code: 'capacity' })
  account.runpod.answerWith(matches.launch, { ...bodies.rest_400, status: 418 })
  expect(await failureOf(account.launch(provider, request))).toMatchObject({ code: 'unknown_outcome' })
})

test.each(['graphql', 'rest'] as const)(
  'over %s a list that holds no list is loss of sight',
  async (transport) => {
    const provider = account.open({ transport })
    const empty = transport === 'graphql' ? '{"data":{"myself":null}}' : '{"pods":null}'
    account.runpod.answerWith(matches.list, { status: 200, body: empty })
    expect(await failureOf(account.listed(provider))).toMatchObject({ code: 'unavailable' })
    const made = transport === 'graphql' ? '{"data":{"podFindAndDeployOnDemand":null}}' : '{}'
    account.runpod.answerWith(matches.launch, { status: transport === 'graphql' ? 200 : 201, body: made })
    const request = account.requestOf(await account.offer(provider))
    expect(await failureOf(account.launch(provider, request))).toMatchObject({ code: 'unknown_outcome' })
  },
)

test.each(['graphql', 'rest'] as const)(
  'over %s a redirect is not followed with the key',
  async (transport) => {
    const provider = account.open({ transport })
    const headers = { location: `${account.runpod.url}/elsewhere` }
    account.runpod.answerWith(() => true, { status: 307, headers, body: '' })
    expect(await failureOf(provider.offers(signal))).toMatchObject({ code: 'unavailable' })
    expect(account.runpod.wire.count()).toBe(1)
  },
)
