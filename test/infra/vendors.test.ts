// What an account is told reaches its adapter, through the row that it is stored in.
import { expect, test } from 'vitest'
import { vendors } from '../../infra/vendors/vendors.ts'

const clock = { now: () => new Date('2026-03-02T09:00:00Z') }
const shape = { id: 'small', cpu: 4, memory_gib: 16, disk_gib: 50, usd_per_hour: 0.2 }
const kubeconfig = [
  'apiVersion: v1',
  'kind: Config',
  'current-context: desk',
  'clusters: [{ name: desk, cluster: { server: "https://127.0.0.1:1" } }]',
  'users: [{ name: berth, user: { token: a-token } }]',
  'contexts: [{ name: desk, context: { cluster: desk, user: berth } }]',
].join('\n')
const prices = { gpu_usd_per_hour: { L4: 0.7, '*': 1 }, cpu_usd_per_hour: 0.02 }
const key = { secret_id: 'AKIDexample', secret_key: 'example' }
const tke = { region: 'ap-guangzhou', cluster_id: 'cls-abc123', cny_per_usd: 7.1 }

const ram = { access_key_id: 'LTAI5texample', access_key_secret: 'example' }
const ecs = {
  region: 'cn-hangzhou',
  vswitches: [{ zone: 'cn-hangzhou-i', id: 'vsw-bp1abc' }],
  security_group_id: 'sg-bp1abc',
  image_id: 'm-bp1abc',
  instance_types: ['ecs.gn7i-c8g1.2xlarge'],
}
const batch = { region: 'us-east-1', shapes: [{ ...shape, queue: 'gpu' }] }

const good: [string, object, object][] = [
  ['alibaba', ecs, ram],
  [
    'alibaba',
    { ...ecs, spot: false, ram_role: 'berth-machine', cny_per_usd: { rate: 7.1, at: '2026-03-01' } },
    { ...ram, security_token: 's' },
  ],
  ['aws', batch, { access_key_id: 'AKIDexample', secret_access_key: 'example' }],
  [
    'aws',
    { ...batch, job_role: 'arn:aws:iam::123456789012:role/work', user: '1000', prices_at: '2026-02-20' },
    { access_key_id: 'AKIDexample', secret_access_key: 'example', session_token: 's' },
  ],
  ['containers', { socket: '/nonexistent/engine.sock' }, {}],
  [
    'containers',
    { url: 'https://127.0.0.1:1', network: 'host', disk_gib: 5 },
    { ca: 'a', cert: 'b', key: 'c' },
  ],
  ['kubernetes', { prices }, { kubeconfig }],
  ['kubernetes', { prices: { ...prices, at: '2026-02-20' } }, { kubeconfig }],
  ['tencent', { ...tke, cny_per_usd: { rate: 7.1, at: '2026-03-01', source: 'PBOC' } }, key],
  ['kubernetes', { prices, context: 'desk', pods: { run_as_user: null } }, { kubeconfig }],
  ['kubernetes', { prices }, { server: 'https://127.0.0.1:1', token: 'a-token', ca: 'a' }],
  ['kubernetes', { prices, pods: { tolerations: [{ operator: 'Exists' }] } }, {}],
  ['nomad', { url: 'http://127.0.0.1:1', shapes: [shape] }, { token: 'a-token' }],
  ['runpod', {}, { api_key: 'rpa_example' }],
  [
    'runpod',
    { transport: 'graphql', clouds: ['community'], data_centers: ['EU-RO-1', 'EUR-IS-1'], min_cuda: '12.8' },
    { api_key: 'rpa_example' },
  ],
  ['tencent', tke, key],
  [
    'tencent',
    { ...tke, pools: [{ id: 'np-1', spot: true }], zones: ['ap-guangzhou-6'] },
    { ...key, session_token: 's' },
  ],
]

test.each(good)('an account of %s is opened with %j', async (name, settings, credentials) => {
  const vendor = vendors[name]
  if (!vendor) throw new Error(`there is no ${name}`)
  // As stored, and parsed once more when it is changed.
  const parsed = {
    settings: vendor.settings.parse(settings),
    credentials: vendor.credentials.parse(credentials),
  }
  const stored = JSON.parse(JSON.stringify(parsed)) as typeof parsed
  expect(JSON.parse(JSON.stringify(vendor.settings.parse(stored.settings)))).toEqual(stored.settings)
  const provider = await vendor.open({ account: 'desk', installation: 'abcdef', clock, ...stored })
  expect([provider.name, provider.account, provider.traits.runs_images]).toEqual([name, 'desk', true])
  // Their addresses are the vendors' own.
  if (['alibaba', 'aws', 'runpod', 'tencent'].includes(name)) return
  // Nothing answers there: it says so, and no word of what it was told in confidence.
  const failed = (await provider.check(AbortSignal.timeout(20_000))).filter(({ ok }) => !ok)
  expect(failed.length).toBeGreaterThan(0)
  expect(JSON.stringify(failed)).not.toMatch(/a-token|example/)
})

const bad: [string, object, object, string][] = [
  ['alibaba', { ...ecs, region: 'Hangzhou' }, ram, 'region'],
  ['alibaba', { ...ecs, vswitches: [...ecs.vswitches, ...ecs.vswitches] }, ram, 'vswitches'],
  ['alibaba', { ...ecs, instance_types: ['gn7i'] }, ram, 'instance_types.0'],
  ['alibaba', { ...ecs, bid_multiple: 2 }, ram, 'bid_multiple'],
  ['alibaba', { ...ecs, cny_per_usd: { rate: 7.1 } }, ram, 'cny_per_usd.at'],
  ['alibaba', ecs, { access_key_id: 'LTAI5texample' }, 'access_key_secret'],
  ['aws', { ...batch, region: 'Virginia' }, {}, 'region'],
  ['aws', { ...batch, prices_at: 'yesterday' }, {}, 'prices_at'],
  [
    'aws',
    { ...batch, shapes: [{ ...shape, queue: 'gpu', usd_per_hour: 1_001 }] },
    {},
    'shapes.0.usd_per_hour',
  ],
  ['tencent', { ...tke, cny_per_usd: { rate: 7.1, at: 'today' } }, key, 'cny_per_usd.at'],
  ['aws', { ...batch, job_role: 'work' }, {}, 'job_role'],
  ['aws', { ...batch, shapes: [shape] }, {}, 'shapes.0.queue'],
  ['aws', batch, { secret_access_key: 'example' }, ''],
  ['containers', { socket: 'engine.sock' }, {}, 'socket'],
  ['containers', { user: 'root' }, {}, 'user'],
  ['containers', {}, { cert: 'b' }, ''],
  ['kubernetes', {}, { kubeconfig }, 'prices'],
  ['kubernetes', { prices: { cpu_usd_per_hour: -1 } }, {}, 'prices.cpu_usd_per_hour'],
  ['kubernetes', { prices }, { token: 'a-token' }, ''],
  ['kubernetes', { prices }, { kubeconfig, token: 'a-token' }, ''],
  ['nomad', { url: 'ftp://127.0.0.1', shapes: [shape] }, { token: 't' }, 'url'],
  ['nomad', { url: 'http://127.0.0.1', shapes: [] }, { token: 't' }, 'shapes'],
  ['runpod', {}, {}, 'api_key'],
  ['runpod', { transport: 'v1' }, { api_key: 'k' }, 'transport'],
  ['runpod', { clouds: [] }, { api_key: 'k' }, 'clouds'],
  ['runpod', { gpu_counts: [1, 1] }, { api_key: 'k' }, 'gpu_counts'],
  ['runpod', { data_centers: ['Romania'] }, { api_key: 'k' }, 'data_centers.0'],
  ['runpod', { bid_factor: 0.5 }, { api_key: 'k' }, 'bid_factor'],
  ['tencent', { ...tke, cluster_id: 'abc' }, key, 'cluster_id'],
  ['tencent', tke, { secret_id: 'AKIDexample' }, 'secret_key'],
]

test.each(bad)('an account of %s is refused with %j', (name, settings, credentials, path) => {
  const vendor = vendors[name]
  const issues = [vendor?.settings.safeParse(settings), vendor?.credentials.safeParse(credentials)].flatMap(
    (parsed) => parsed?.error?.issues ?? [],
  )
  expect(issues.map((issue) => issue.path.join('.'))).toEqual([path])
})
