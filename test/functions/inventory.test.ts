// What there is to run on, and which part of it a job takes.
import { expect, test } from 'vitest'
import type { Device, Offer } from '../../providers/provider.ts'
import { createKey } from '../../jobs/keys.ts'
import type { JobView } from '../../jobs/view.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

type Row = Record<string, unknown>
const get = async (world: World, path: string, key = world.key) => {
  const answer = await world.request('GET', path, { key })
  return (await answer.json()) as { items: Row[]; next_cursor: string | null; code?: string }
}
const post = async (world: World, more: Record<string, unknown> = {}) => {
  const answer = await world.request('POST', '/v1/jobs', { body: backtest(more) })
  return { status: answer.status, ...((await answer.json()) as JobView & { errors: { path: string }[] }) }
}
const rtx4090 = { model: 'RTX 4090', count: 1, memory_gib: 24, compute_capability: '8.9' }

/** This machine with two GPUs, and a cloud with some. */
function furnish(world: World) {
  const [cpu] = world.model.offers
  if (!cpu) throw new Error('the model has an offer')
  const gpus = [0, 1].map((n): Offer => ({ ...cpu, id: `cuda:${n}`, gpu: rtx4090, slots: 4 }))
  const cloud: Offer = {
    ...cpu,
    id: 'g6.xlarge',
    region: 'far',
    gpu: { ...rtx4090, model: 'L4' },
    usd_per_hour: 0.8,
    slots: null,
    available: 3,
    price: { source: 'price list', at: '2026-03-01T00:00:00Z' },
  }
  world.model.offers.push(...gpus, cloud)
  return cloud
}

test('offers are listed cheapest first, with what holds and blocks them', async () => {
  await using world = await openTestWorld()
  const cloud = furnish(world)
  world.model.offers.push({ ...cloud, region: 'near', available: 0 })
  world.model.faults.launch.push('capacity')
  await post(world, { resources: { gpu: { models: ['L4'] } } })
  await post(world, { resources: { device: 'cuda:1' } })
  await world.settle(3)
  const { items } = await get(world, '/v1/offers')
  expect(items.map(({ offer, region }) => `${String(offer)} ${String(region)}`)).toEqual([
    'cpu here',
    'cuda:0 here',
    'cuda:1 here',
    'g6.xlarge far',
    'g6.xlarge near',
  ])
  expect(items[2]).toMatchObject({ running: 1, slots: 4, blocked: null, price: { source: null, at: null } })
  const until = new Date(world.deps.clock.now().getTime() + 60_000).toISOString()
  expect(items[3]).toMatchObject({
    available: 3,
    blocked: { reason: 'capacity', until, failures: 1 },
    price: { source: 'price list', at: '2026-03-01T00:00:00Z' },
  })
  const names = async (query: string) =>
    (await get(world, `/v1/offers?${query}`)).items.map(({ offer }) => offer)
  expect(await names('gpu=NVIDIA%20L4&region=near')).toEqual(['g6.xlarge'])
  expect(await names('free=true')).toEqual(['cpu', 'cuda:0', 'cuda:1'])
  expect(await names('free=false&max_usd_per_hour=1')).toEqual(['g6.xlarge', 'g6.xlarge'])
  expect(await names('spot=true')).toEqual([])
  expect(await names('provider=none')).toEqual([])
})

test('offers come in pages', async () => {
  await using world = await openTestWorld()
  furnish(world)
  const first = await get(world, '/v1/offers?limit=3')
  const second = await get(world, `/v1/offers?limit=3&cursor=${first.next_cursor}`)
  expect([first.items.length, second.items.length, second.next_cursor]).toEqual([3, 1, null])
  expect((await get(world, '/v1/offers?cursor=*')).code).toBe('invalid_cursor')
})

test('GPUs tell what they have, what runs on them and how they are', async () => {
  await using world = await openTestWorld()
  furnish(world)
  const device = (offer: string, more: Partial<Device> = {}): Device => ({
    offer,
    region: 'here',
    index: Number(offer.slice(5)),
    memory_used_gib: 6,
    utilization: 0.5,
    temperature_c: 61,
    power_w: 200,
    driver: '550.54',
    cuda: '12.4',
    ...more,
  })
  world.model.provider.devices = () =>
    Promise.resolve([device('cuda:0'), device('cuda:1', { memory_used_gib: null })])
  const { id } = await post(world, { resources: { gpu: { models: ['L4'] } } })
  await world.settle(2)
  const [[attempt_id, machine] = ['', { token: '' }]] = [...world.model.machines]
  const report = (body: object) =>
    world.request('POST', `/v1/attempts/${attempt_id}/report`, { key: machine.token, body })
  const host = { gpus: [{ index: 0, model: 'NVIDIA L4' }], driver: '535.1', cuda: '12.2', memory_gib: 16 }
  await report({ type: 'started', instance: 'one', host })
  const figures = { utilization: 0.9, memory_used_gib: 20, temperature_c: 70, power_w: 71.5 }
  await report({ type: 'heartbeat', progress: 0.1, machine: { cpu: 0.1, memory: 0.2, gpus: [figures] } })
  const { items } = await get(world, '/v1/gpus')
  const local = {
    provider: 'model',
    region: 'here',
    model: 'RTX 4090',
    compute_capability: '8.9',
    memory_gib: 24,
  }
  expect(items).toMatchObject([
    {
      offer: 'g6.xlarge',
      attempt_id,
      model: 'L4',
      running: 1,
      ...figures,
      memory_free_gib: 4,
      driver: '535.1',
      cuda: '12.2',
    },
    {
      ...local,
      offer: 'cuda:0',
      index: 0,
      attempt_id: null,
      memory_used_gib: 6,
      memory_free_gib: 18,
      utilization: 0.5,
      temperature_c: 61,
      power_w: 200,
      driver: '550.54',
      cuda: '12.4',
      running: 0,
      slots: 4,
    },
    { ...local, offer: 'cuda:1', index: 1, memory_used_gib: null, memory_free_gib: null },
  ])
  expect((await get(world, '/v1/gpus?gpu=l4')).items).toHaveLength(1)
  // Whose job it is, is nobody else's affair.
  const other = await world.secondProject()
  expect((await get(world, '/v1/gpus', other.key)).items.map(({ offer }) => offer)).toEqual([
    'cuda:0',
    'cuda:1',
  ])
  expect(id).toMatch(/^job_/)
  // By what they are called, and of the worst: no series of an attempt.
  const scraped = await (await world.request('GET', '/metrics')).text()
  const told = 'provider="model",account="main",model='
  expect(scraped).toContain(`berth_gpus{${told}"RTX 4090"} 2\n`)
  expect(scraped).toContain(`berth_gpu_utilization_ratio{${told}"L4"} 0.9\n`)
  expect(scraped).toContain(`berth_gpu_memory_used_ratio{${told}"RTX 4090"} 0.25\n`)
  expect(scraped).toContain(`berth_gpu_temperature_celsius{${told}"RTX 4090"} 61\n`)
  expect(scraped).toContain(`berth_gpu_power_watts{${told}"L4"} 71.5\n`)
  expect(scraped).not.toContain(attempt_id)
})

test('GPUs that are offered in several parts are there once', async () => {
  await using world = await openTestWorld()
  furnish(world)
  const [one] = world.model.offers.filter(({ gpu }) => gpu?.model === 'RTX 4090')
  const gpu = one?.gpu
  if (!gpu) throw new Error('no GPU')
  const part = (count: number) => ({
    ...one,
    id: `node:${count}`,
    gpu: { ...gpu, count },
    slots: 4 / count,
  })
  world.model.offers.splice(0, world.model.offers.length, part(1), part(2), part(4))
  const device = { region: 'here', memory_used_gib: null, utilization: null, temperature_c: null }
  const rest = { power_w: null, driver: '550.54', cuda: '12.4' }
  world.model.provider.devices = () =>
    Promise.resolve([0, 1, 2, 3].map((index) => ({ offer: 'node:1', index, ...device, ...rest })))
  const { items } = await get(world, '/v1/gpus')
  expect(items.map(({ offer, index }) => [offer, index])).toEqual([0, 1, 2, 3].map((n) => ['node:1', n]))
})

test('a machine that cannot be asked has GPUs all the same', async () => {
  await using world = await openTestWorld()
  furnish(world)
  world.model.provider.devices = () => Promise.reject(new Error('no driver'))
  expect((await get(world, '/v1/gpus')).items).toMatchObject([
    { offer: 'cuda:0', memory_gib: 24, memory_used_gib: null, at: null },
    { offer: 'cuda:1' },
  ])
})

test('cuda takes the least loaded GPU, cuda:N that one, cpu none, and the attempt says which', async () => {
  await using world = await openTestWorld()
  furnish(world)
  const device = async (asked: string) => {
    const { id } = await post(world, { resources: { device: asked } })
    await world.settle(2)
    return ((await (await world.request('GET', `/v1/jobs/${id}`)).json()) as JobView).attempts[0]?.device
  }
  expect(await device('cuda:1')).toBe('cuda:1')
  expect(await device('cuda')).toBe('cuda:0')
  expect(await device('cuda:1')).toBe('cuda:1')
  expect(await device('cuda')).toBe('cuda:0')
  expect(await device('cpu')).toBe('cpu')
})

test('a GPU that was faster once is not preferred to one of its kind that is free', async () => {
  await using world = await openTestWorld()
  furnish(world)
  const done = async (asked: string, seconds: number) => {
    const { id } = await post(world, { resources: { device: asked } })
    await world.settle(2)
    const [attempt_id, machine] = [...world.model.machines].at(-1) ?? ['', { token: '', seen: {} }]
    const report = (body: object) =>
      world.request('POST', `/v1/attempts/${attempt_id}/report`, { key: machine.token, body })
    await report({ type: 'started', instance: 'one' })
    world.advance(seconds)
    await report({ type: 'finished', exit_code: 0, failure: null, result: { engine: { device: 'cuda:0' } } })
    Object.assign(machine, { seen: { state: 'exited', exit_code: 0, detail: null } })
    await world.settle(3)
    return id
  }
  await done('cuda:0', 30)
  await done('cuda:1', 20)
  const offers = async () => {
    await post(world, { resources: { device: 'cuda' } })
    await world.settle(2)
    return [...world.model.machines.values()].at(-1)?.request.offer.id
  }
  expect(new Set([await offers(), await offers()])).toEqual(new Set(['cuda:0', 'cuda:1']))
})

test('a program that used no GPU after all is recorded with the CPU', async () => {
  await using world = await openTestWorld()
  furnish(world)
  const { id } = await post(world, { resources: { device: 'cuda' } })
  await world.settle(2)
  const [[attempt_id, machine] = ['', { token: '' }]] = [...world.model.machines]
  for (const body of [
    { type: 'started', instance: 'one' },
    { type: 'finished', exit_code: 0, failure: null, result: { engine: { device: 'cpu' } } },
  ])
    await world.request('POST', `/v1/attempts/${attempt_id}/report`, { key: machine.token, body })
  await world.settle(2)
  expect(await (await world.request('GET', `/v1/jobs/${id}`)).json()).toMatchObject({
    state: 'succeeded',
    attempts: [{ device: 'cpu' }],
  })
})

test('cuda:N where only a cloud could take the job is refused', async () => {
  await using world = await openTestWorld()
  const cloud = furnish(world)
  const far = { resources: { device: 'cuda:0' }, placement: { regions: ['far'] } }
  expect(await post(world, far)).toMatchObject({ status: 422, errors: [{ path: 'resources.device' }] })
  // Here it means something, though there are but two.
  expect(await post(world, { resources: { device: 'cuda:7' } })).toMatchObject({
    status: 201,
    warnings: [{ code: 'unsatisfiable' }],
  })
  world.model.offers.splice(0, Number.POSITIVE_INFINITY, cloud)
  expect(await post(world, { resources: { device: 'cuda:0' } })).toMatchObject({ status: 422 })
  expect(await post(world, { resources: { device: 'cuda' } })).toMatchObject({ status: 201, warnings: [] })
})

test('an admin sets the share of a project, and everybody sees it', async () => {
  await using world = await openTestWorld()
  const patch = (body: unknown) => world.request('PATCH', '/v1/project', { body })
  expect(await (await patch({ weight: 2.5, name: 'desk' })).json()).toMatchObject({
    name: 'desk',
    weight: 2.5,
  })
  expect(await (await world.request('GET', '/v1/project')).json()).toMatchObject({
    id: world.project_id,
    name: 'desk',
    weight: 2.5,
  })
  for (const weight of [0, -1, 1e9, 'heavy']) expect((await patch({ weight })).status).toBe(422)
  const member = await createKey(world.deps, world.project_id, 'member', 'member')
  const refused = await world.request('PATCH', '/v1/project', { body: { weight: 9 }, key: member })
  expect(refused.status).toBe(403)
})

test('a GPU that the catalogue of models does not have is offered and says so', async () => {
  await using world = await openTestWorld()
  const cloud = furnish(world)
  world.model.offers.push({
    ...cloud,
    id: 'ppu',
    gpu: { model: 'PPU 810E', count: 1, memory_gib: 96, compute_capability: null },
  })
  const { items } = await get(world, '/v1/offers')
  expect(
    items.map(({ offer, gpu }) => [offer, gpu && (gpu as Row)['class'], gpu && (gpu as Row)['unknown']]),
  ).toEqual([
    ['cpu', null, null],
    ['cuda:0', 'rtx', false],
    ['cuda:1', 'rtx', false],
    ['g6.xlarge', 'data_centre', false],
    ['ppu', null, true],
  ])
})

test('work that ran on one model of GPU says how long it should take on the others', async () => {
  await using world = await openTestWorld()
  const cloud = furnish(world)
  const card = (id: string, model: string, memory_gib: number): Offer => ({
    ...cloud,
    id,
    gpu: { model, count: 1, memory_gib, compute_capability: null },
  })
  world.model.offers.push(card('4090', 'NVIDIA GeForce RTX 4090', 24), card('x900', 'NVIDIA X900', 48))
  const spec = { resources: { device: 'cuda' }, placement: { regions: ['far'], providers: ['model'] } }
  const only = { ...spec, resources: { gpu: { models: ['L4'] } } }
  await post(world, only)
  await world.settle(2)
  const [attempt_id, machine] = [...world.model.machines].at(-1) ?? ['', { token: '', seen: {} }]
  const report = (body: object) =>
    world.request('POST', `/v1/attempts/${attempt_id}/report`, { key: machine.token, body })
  await report({ type: 'started', instance: 'one' })
  world.advance(1_000)
  await report({ type: 'finished', exit_code: 0, failure: null, result: { engine: { device: 'cuda:0' } } })
  Object.assign(machine, { seen: { state: 'exited', exit_code: 0, detail: null } })
  await world.settle(3)
  const answer = await world.request('POST', '/v1/jobs/estimate', { body: backtest(spec) })
  const { offers } = (await answer.json()) as { offers: Row[] }
  const told = Object.fromEntries(offers.map((each) => [each['offer'], each]))
  expect(told['g6.xlarge']).toMatchObject({ basis: 'history' })
  // Of an L4's 1,000 s: FP64 is 2.73 times as fast on an RTX 4090, and its memory 3.36 times; half of the work each.
  expect(told['4090']?.['basis']).toBe('model')
  expect(Number(told['4090']?.['expected_duration_s']) / 1_000).toBeCloseTo(0.33, 1)
  // Of what nobody knows the kind's own model tells.
  expect(Number(told['x900']?.['expected_duration_s'])).toBeLessThan(100)
})
