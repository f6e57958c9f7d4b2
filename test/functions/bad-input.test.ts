import { expect, test } from 'vitest'
import { backtest, openTestWorld } from '../support/world.ts'

const params = backtest().params
const withParams = (more: object) => ({ kind: 'backtest', params: { ...params, ...more } })
const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) })

const training = (model: object) => ({
  kind: 'training',
  params: {
    data: params.data,
    features: [{ name: 'obv' }],
    target: { name: 'sign' },
    model: { name: 'ridge', ...model },
  },
})

/** What is wrong: what is sent, the status, the code, and the path or text that the answer must name. */
const cases: [string, unknown, number, string, string][] = [
  ['nothing', '', 400, 'malformed_json', 'JSON'],
  ['no JSON', '{', 400, 'malformed_json', 'JSON'],
  ['an array', [], 422, 'invalid_request', ''],
  ['null', 'null', 422, 'invalid_request', ''],
  ['no kind', { params }, 422, 'invalid_request', 'kind'],
  ['an unknown kind', { kind: 'mining', params }, 422, 'invalid_request', 'kind'],
  ['an unknown field', { ...backtest(), gpu: 1 }, 422, 'invalid_request', 'gpu'],
  [
    'an unknown field deep inside',
    withParams({ execution: { slipage_bps: 1 } }),
    422,
    'invalid_request',
    'params.execution.slipage_bps is not a known field: there are fill, ',
  ],
  [
    'an unknown field of a GPU',
    { ...backtest(), resources: { gpu: { min_memory_gib: 24 } } },
    422,
    'invalid_request',
    'resources.gpu.min_memory_gib is not a known field: there are models, count, memory_gib, compute_capability',
  ],
  [
    'a training without a model',
    {
      kind: 'training',
      params: { data: params.data, features: [{ name: 'obv' }], target: { name: 'sign' } },
    },
    422,
    'invalid_request',
    'params.model',
  ],
  ['a wrong type', { ...backtest(), timeout_s: '60' }, 422, 'invalid_request', 'timeout_s'],
  ['a fraction of a second', { ...backtest(), timeout_s: 1.5 }, 422, 'invalid_request', 'timeout_s'],
  ['a negative budget', { ...backtest(), budget_usd: -1 }, 422, 'invalid_request', 'budget_usd'],
  ['a NUL character', { ...backtest(), name: 'a\0b' }, 422, 'invalid_request', 'name'],
  ['a NUL character in a name', { ...backtest(), labels: { 'a\0': 'b' } }, 422, 'invalid_request', 'labels'],
  ['half a surrogate pair', '{"kind":"backtest","name":"\\ud800"}', 422, 'invalid_request', 'name'],
  ['a prototype key', '{"kind":"backtest","__proto__":{"a":1}}', 422, 'invalid_request', '__proto__'],
  [
    'a prototype key in other letters',
    JSON.stringify({ ...backtest(), labels: { desk: 'x' } }).replace('desk', '\\u005f_proto__'),
    422,
    'invalid_request',
    'labels has the name "__proto__"',
  ],
  ['an endless number', '{"kind":"backtest","timeout_s":1e400}', 422, 'invalid_request', 'timeout_s'],
  ['deep nesting', { ...backtest(), labels: nested(40) }, 422, 'invalid_request', 'labels'],
  ['deeper nesting', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 422, 'invalid_request', 'nested deeper'],
  ['two megabytes', { ...backtest(), name: 'x'.repeat(2 * 1024 ** 2) }, 413, 'body_too_large', 'bytes'],
  [
    'a bad date',
    withParams({ data: { ...params.data, start: '2010-02-30' } }),
    422,
    'invalid_request',
    'params.data.start',
  ],
  [
    'an end before the start',
    withParams({ data: { ...params.data, start: '2011-01-01', end: '2010-01-01' } }),
    422,
    'invalid_request',
    'params.data.end',
  ],
  [
    'fast >= slow',
    withParams({ parameters: { fast: 50, slow: 10 } }),
    422,
    'invalid_request',
    'params.parameters.fast',
  ],
  [
    'a fraction of a bar',
    withParams({ parameters: { fast: 1.5 } }),
    422,
    'invalid_request',
    'params.parameters.fast',
  ],
  [
    'an unknown parameter',
    withParams({ parameters: { quick: 5 } }),
    422,
    'invalid_request',
    'params.parameters.quick',
  ],
  [
    'an empty range',
    withParams({ parameters: { fast: { range: [9, 1, 1] } } }),
    422,
    'invalid_request',
    'params.parameters.fast',
  ],
  [
    'a step of nothing',
    withParams({ parameters: { fast: { range: [1, 9, 0] } } }),
    422,
    'invalid_request',
    'params.parameters.fast',
  ],
  [
    'too many points',
    withParams({
      parameters: {
        fast: { range: [1, 50_000, 1] },
        slow: { range: [1, 50_000, 1] },
        stop_loss: { range: [0, 0.9, 0.001] },
      },
    }),
    422,
    'invalid_request',
    'points',
  ],
  [
    'an unknown sample',
    withParams({ data: { dataset: 'sample:none' } }),
    422,
    'invalid_request',
    'params.data.dataset',
  ],
  [
    'an unknown symbol',
    withParams({ data: { ...params.data, symbols: ['AAPL', 'ZZZZ'] } }),
    422,
    'invalid_request',
    'params.data.symbols.1',
  ],
  [
    'no open with next_open',
    withParams({ execution: { fill: 'next_open' } }),
    422,
    'invalid_request',
    'next_close',
  ],
  [
    'file:// over REST',
    withParams({ data: { files: [{ url: 'file:///etc/passwd' }], adjustment: 'none' } }),
    422,
    'invalid_request',
    'params.data.files.0.url',
  ],
  [
    'files without adjustment',
    withParams({ data: { files: [{ url: 'https://example.com/a.csv' }] } }),
    422,
    'invalid_request',
    'params.data.adjustment',
  ],
  [
    'data twice',
    withParams({ data: { dataset: 'sample:indices', files: [{ url: 'https://example.com/a.csv' }] } }),
    422,
    'invalid_request',
    'params.data',
  ],
  [
    'a strategy that there is not',
    withParams({ strategy: { name: 'crystal_ball' } }),
    422,
    'invalid_request',
    'params.strategy.name',
  ],
  [
    'a webhook target that is not allowed',
    { ...backtest(), webhook: { url: 'https://forbidden.example.com' } },
    422,
    'invalid_request',
    'webhook.url',
  ],
  [
    'a webhook that is no address',
    { ...backtest(), webhook: { url: 'ftp://example.com' } },
    422,
    'invalid_request',
    'webhook.url',
  ],
  [
    'a device that does not exist',
    { ...backtest(), resources: { device: 'tpu' } },
    422,
    'invalid_request',
    'resources.device',
  ],
  [
    'more names than anything has',
    training({ params: Object.fromEntries(Array.from({ length: 1_001 }, (_, n) => [`p${n}`, 1])) }),
    422,
    'invalid_request',
    'params.model.params has more than 1000 names',
  ],
  [
    'a name as long as a page',
    training({ params: { ['p'.repeat(1_001)]: 1 } }),
    422,
    'invalid_request',
    'params.model.params has a name of more than 1000 characters',
  ],
  [
    'what no offer can meet, strictly',
    { ...backtest(), strict: true, resources: { cpu: 999 } },
    422,
    'invalid_request',
    'cpu',
  ],
]

test.for(cases)('%s is refused, and nothing is stored', async ([, body, status, code, named]) => {
  await using world = await openTestWorld()
  const answer = await world.request('POST', '/v1/jobs', { body, headers: { 'idempotency-key': 'k' } })
  const text = await answer.text()
  expect([answer.status, text]).toEqual([status, expect.stringContaining(`"code":"${code}"`)])
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  const problem = JSON.parse(text) as { detail: string; errors: { path: string }[]; request_id: string }
  expect(`${problem.detail} ${problem.errors.map(({ path }) => path).join(' ')}`).toContain(named)
  expect(problem.request_id).toBe(answer.headers.get('x-request-id'))
  for (const table of ['jobs', 'shards', 'events', 'idempotency', 'deliveries'] as const)
    expect(await world.deps.db.selectFrom(table).selectAll().execute()).toEqual([])
  expect(world.logged.filter(({ level }) => level === 'error')).toEqual([])
})

test('queries, headers, cursors and ids that make no sense are refused', async () => {
  await using world = await openTestWorld()
  const refused: [string, string, number][] = [
    ['GET', '/v1/jobs?limit=0', 422],
    ['GET', '/v1/jobs?limit=501', 422],
    ['GET', '/v1/jobs?limit=many', 422],
    ['GET', '/v1/jobs?stat=running', 422],
    ['GET', '/v1/jobs?state=walking', 422],
    ['GET', '/v1/jobs?cursor=x', 422],
    ['GET', '/v1/jobs?cursor=job_01jd3m4k5nep7r8r9s0t1v2w3%00', 422],
    ['GET', '/v1/jobs?label=desk', 422],
    ['GET', '/v1/jobs?created_after=yesterday', 422],
    ['GET', '/v1/jobs/job_nonsense', 404],
    ['GET', '/v1/jobs/%00', 404],
    ['GET', '/v1/jobs/job_01jd3m4k5nep7r8r9s0t1v2w3x/logs', 404],
    ['GET', '/v1/nothing', 404],
    ['POST', '/v1/jobs?wait_s=61', 422],
    ['DELETE', '/v1/jobs/job_01jd3m4k5nep7r8r9s0t1v2w3x', 404],
  ]
  for (const [method, path, status] of refused) {
    const options = method === 'POST' ? { body: backtest() } : {}
    const answer = await world.request(method, path, options)
    expect([path, answer.status]).toEqual([path, status])
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
  }
  const form = await world.request('POST', '/v1/jobs', {
    body: 'a=b',
    headers: { 'content-type': 'text/plain' },
  })
  expect(form.status).toBe(415)
  const long = await world.request('POST', '/v1/jobs', {
    body: backtest(),
    headers: { 'idempotency-key': 'k'.repeat(256) },
  })
  expect(long.status).toBe(422)
})

test('no key, a wrong key and a revoked key are all the same 401', async () => {
  await using world = await openTestWorld()
  const wrong = `${world.key.slice(0, -1)}${world.key.endsWith('A') ? 'B' : 'A'}`
  for (const key of [null, 'x', wrong, 'berth_000000000000_0000000000000000000000000000000000000000000']) {
    const answer = await world.request('GET', '/v1/jobs', { key })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
  }
  await world.deps.db.updateTable('api_keys').set({ revoked_at: world.deps.clock.now() }).execute()
  expect((await world.request('GET', '/v1/jobs')).status).toBe(401)
})

test('NUL in a name is no such thing, in a query is named, and an odd type without a body is 415', async () => {
  await using world = await openTestWorld()
  const refused: [string, string, number][] = [
    ['POST', '/v1/jobs/%00/stop', 404],
    ['POST', '/v1/jobs/%00/cancel', 404],
    ['DELETE', '/v1/jobs/%00', 404],
    ['DELETE', '/v1/datasets/%00', 404],
    ['DELETE', '/v1/limits/%00', 404],
    ['POST', '/v1/orphans/%00/stop', 404],
    ['GET', '/v1/usage?group_by=label&label=%00', 422],
    ['GET', '/v1/provider-accounts/%00', 404],
    ['PUT', '/v1/jobs', 405],
  ]
  for (const [method, path, status] of refused) {
    const answer = await world.request(method, path)
    expect([path, answer.status]).toEqual([path, status])
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
  }
  const typed = await world.request('POST', '/v1/jobs', {
    body: '',
    headers: { 'content-type': 'text/plain' },
  })
  expect(typed.status).toBe(415)
  expect(world.logged.filter(({ level }) => level === 'error')).toEqual([])
})

test('a refusal does not send back all of what it refuses', async () => {
  await using world = await openTestWorld()
  const body = withParams({ data: { ...params.data, symbols: ['x'.repeat(70_000)] } })
  for (const path of ['/v1/jobs', '/v1/jobs/estimate']) {
    const answer = await world.request('POST', path, { body })
    const text = await answer.text()
    expect([answer.status, text.length < 5_000, text.includes('params.data.symbols.0')]).toEqual([
      422,
      true,
      true,
    ])
  }
})
