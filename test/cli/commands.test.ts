import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Job } from '../../cli/client.ts'
import type { OfferSource } from '../../jobs/deps.ts'
import { scanOrphans } from '../../jobs/orphans.ts'
import type { Offer } from '../../providers/provider.ts'
import { backtest } from '../support/world.ts'
import { openServed, runCli, startRunner } from './served.ts'

test('a job from a file is submitted with name and labels, and its id is all that is printed', async () => {
  await using served = await openServed()
  writeFileSync(join(served.folder, 'job.json'), JSON.stringify(backtest({ labels: { desk: 'alpha' } })))
  const done = await served.cli([
    'submit',
    'job.json',
    '--name',
    'first',
    '--label',
    'run=7',
    '--label',
    'x=a=b',
  ])
  expect(done).toMatchObject({ code: 0, stdout: expect.stringMatching(/^job_[0-9a-z]{26}\n$/) })
  const { code, stdout } = await served.cli(['get', done.stdout.trim(), '--json'])
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    name: 'first',
    labels: { desk: 'alpha', run: '7', x: 'a=b' },
    state: 'queued',
  })
})

test('a backtest spec from standard input is submitted with --kind; --json prints the job', async () => {
  await using served = await openServed()
  const stdin = JSON.stringify(backtest().params)
  const { code, stdout, stderr } = await served.cli(['submit', '-', '--kind', 'backtest', '--json'], {
    stdin,
  })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(JSON.parse(stdout)).toMatchObject({ kind: 'backtest', params: backtest().params })
})

test('a list is a table that fits the terminal, filtered by the server', async () => {
  await using served = await openServed()
  const long = 'a very long name '.repeat(8)
  await served.submitted({ name: long, labels: { desk: 'alpha' } })
  await served.submitted({ name: '\u001b[31mred\u202e' })
  const { code, stdout } = await served.cli(['list'], { tty: true, columns: 100, env: { NO_COLOR: '1' } })
  expect(code).toBe(0)
  const lines = stdout.trimEnd().split('\n')
  expect(lines[0]).toMatch(/^ID +STATE +KIND +NAME +DONE +COST +AGE$/)
  expect(lines[1]).toContain(' red\uFFFD ')
  expect(lines[2]).toContain('…')
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100)
  const alpha = await served.cli([
    'list',
    '--label',
    'desk=alpha',
    '--state',
    'queued',
    '--kind',
    'backtest',
    '--json',
  ])
  expect(JSON.parse(alpha.stdout).items).toMatchObject([{ name: long }])
  expect(await served.cli(['list', '--state', 'failed'])).toMatchObject({ stdout: '', stderr: 'No jobs.\n' })
})

test('a long list is read page by page up to the limit', async () => {
  await using served = await openServed()
  served.fault(({ request }) => {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname !== '/v1/jobs' || request.method !== 'GET') return null
    const from = Number(searchParams.get('cursor') ?? 0)
    const items = Array.from({ length: Number(searchParams.get('limit')) }, (_, n) => ({
      id: `job_${from + n}`,
    }))
    return Response.json({ items, next_cursor: String(from + items.length) })
  })
  const { stdout } = await served.cli(['list', '--limit', '1100', '--json'])
  const { items, next_cursor } = JSON.parse(stdout)
  expect(items.map(({ id }: Job) => id)).toEqual(Array.from({ length: 1100 }, (_, n) => `job_${n}`))
  expect(next_cursor).toBe('1100')
})

test('a job is shown with its attempts, warnings, cost, error and last lines', async () => {
  await using served = await openServed()
  const id = await served.submitted({ name: 'shown', labels: { desk: 'alpha' }, retry: { max_attempts: 1 } })
  const runner = await startRunner(served)
  await runner.log('Traceback\u001b[2J\n')
  await runner.finish(3, null)
  const { code, stdout } = await served.cli(['get', id])
  expect(code).toBe(0)
  expect(stdout).toContain(`${id}\n  state    failed\n`)
  expect(stdout).toContain('name     shown')
  expect(stdout).toContain('label    desk=alpha')
  expect(stdout).toMatch(/attempt {2}0\.1 model here cpu .*failed \(exit code 3\)/)
  expect(stdout).toMatch(/cost {5}\$0\.\d{6}/)
  expect(stdout).toMatch(/error {4}.*user_code/)
  expect(stdout).not.toContain('\u001b')
})

test('a log is printed whole lines at a time, page by page, with nothing that a terminal would obey', async () => {
  await using served = await openServed()
  const id = await served.submitted()
  const runner = await startRunner(served)
  await runner.log('one\ntw')
  await runner.log('o \u001b]0;owned\u0007\u001b[2J\u009b31m\r50 %\rdone\n')
  await runner.log('machine ready\n', 'runner')
  await runner.log('no end')
  const { code, stdout } = await served.cli(['logs', id])
  expect(code).toBe(0)
  expect(stdout).toBe('one\ntwo \n50 %\ndone\nrunner: machine ready\nno end\n')
  const machine = await served.cli(['logs', id, '--json'])
  const chunks = machine.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(chunks.map(({ number }) => number)).toEqual([1, 2, 3, 4])
  expect(chunks[1].text).toContain('\u001b]0;owned')
})

test('events, result and artifacts of a finished job', async () => {
  await using served = await openServed()
  const id = await served.submitted()
  expect(await served.cli(['result', id])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('queued'),
  })
  const runner = await startRunner(served)
  await runner.put('plots/a.html', '<p>hi')
  await runner.put('result.json', '{}')
  const made = { best: { objective: 1.5, parameters: { fast: 5 } }, points: 7 }
  await runner.finish(0, made)
  const events = await served.cli(['events', id])
  expect(events.stdout).toMatch(/^NUMBER +AT +TYPE +DATA\n +1 .*job\.queued[^]*job\.succeeded/)
  expect(JSON.parse((await served.cli(['events', id, '--json'])).stdout).items[0]).toMatchObject({
    sequence: 1,
  })
  const result = await served.cli(['result', id])
  expect(JSON.parse(result.stdout)).toEqual(made)
  const path = join(served.folder, 'out.json')
  expect(await served.cli(['result', id, '-o', 'out.json'])).toMatchObject({ code: 0, stdout: `${path}\n` })
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(made)
  const list = await served.cli(['artifacts', id])
  expect(list.stdout).toMatch(/NAME +SIZE +TYPE +SHA256\nplots\/a\.html +5 B +text\/html/)
  const folder = join(served.folder, 'files')
  const saved = await served.cli(['artifacts', id, '--download', 'files'])
  expect(saved.stdout).toBe(`${folder}/plots/a.html\n${folder}/result.json\n`)
  expect(readFileSync(join(folder, 'plots/a.html'), 'utf8')).toBe('<p>hi')
  const one = await served.cli(['artifacts', id, 'result.json', '--json', '--download', 'one'])
  expect(JSON.parse(one.stdout).items).toMatchObject([{ name: 'result.json', bytes: 2 }])
  expect((await served.cli(['artifacts', id, 'nothing.txt'])).code).toBe(3)
  expect((await served.cli(['get', id])).stdout).toContain(
    'result   best of 7 tried: objective 1.500, {"fast":5}',
  )
})

test('a training shows what its model is worth on rows that it had not seen', async () => {
  await using served = await openServed()
  const id = await served.submitted()
  const runner = await startRunner(served)
  const overall = { rmse: 0.0448086, ic: 0.0061686, rank_ic: null, ic_dates: 3140 }
  await runner.put('result.json', '{}')
  await runner.finish(0, { best: { params: {} }, metrics: { selection: { ic: 0.9 }, test: { overall } } })
  expect((await served.cli(['get', id])).stdout).toContain(
    'result   out of fold: rmse 0.04481, ic 0.006169, ic_dates 3140\n',
  )
})

test('stop, cancel and delete', async () => {
  await using served = await openServed()
  const id = await served.submitted()
  expect(await served.cli(['cancel', id])).toMatchObject({ code: 0, stdout: expect.stringContaining(id) })
  await served.world.settle(2)
  const again = await served.cli(['stop', id])
  expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining('409 job_finished') })
  expect(await served.cli(['delete', id])).toMatchObject({ code: 0, stdout: `${id} deleted\n` })
  expect((await served.cli(['delete', id])).code).toBe(3)
  const other = await served.submitted()
  const stopped = await served.cli(['stop', other, '--json'])
  expect(JSON.parse(stopped.stdout)).toMatchObject({ id: other })
  await served.world.settle(2)
  expect(JSON.parse((await served.cli(['delete', other, '--json'])).stdout)).toEqual({
    id: other,
    deleted: true,
  })
})

test('the key file of this machine’s server is used, and shown to no other', async () => {
  await using served = await openServed()
  const env = { BERTH_API_KEY: '', BERTH_DATA_DIR: 'somewhere' }
  const none = await served.cli(['list'], { env })
  expect(none).toMatchObject({ code: 4, stderr: expect.stringContaining('somewhere/admin.key') })
  writeFileSync(join(served.folder, 'admin.key'), `${served.world.key}\n`)
  expect((await served.cli(['list'], { env: { ...env, BERTH_DATA_DIR: '.' } })).code).toBe(0)
  const elsewhere = { BERTH_DATA_DIR: '.', BERTH_URL: 'https://berth.example.com' }
  const remote = await runCli(['list'], { env: elsewhere }, served.folder)
  expect(remote).toMatchObject({ code: 4, stderr: expect.stringContaining('not on this machine') })
})

test('doctor says of each thing whether it is well, and what to do', async () => {
  await using served = await openServed()
  const env = { BERTH_DATA_DIR: served.folder, BERTH_PYTHON: join(served.folder, 'no-python') }
  const { code, stdout } = await served.cli(['doctor'], { env })
  expect(code).toBe(1)
  expect(stdout).toMatch(/^ok {3}server +http:\/\/127\.0\.0\.1:\d+ is ready/)
  expect(stdout).toMatch(/^ok {3}key +from BERTH_API_KEY, accepted$/m)
  expect(stdout).toMatch(/^FAIL Python .*no-python is not there: make the environment/m)
  expect(stdout).toMatch(/^ok {3}Node +24\./m)
  writeFileSync(join(served.folder, 'admin.key'), 'x', { mode: 0o644 })
  const json = JSON.parse((await served.cli(['doctor', '--json'], { env })).stdout)
  expect(json.ok).toBe(false)
  expect(json.checks).toContainEqual(
    expect.objectContaining({ name: 'data folder', ok: false, todo: expect.stringContaining('chmod 600') }),
  )
  const wrong = await served.cli(['doctor'], { env: { ...env, BERTH_API_KEY: 'wrong' } })
  expect(wrong).toMatchObject({ code: 4, stdout: expect.stringMatching(/^FAIL key /m) })
  const nobody = await runCli(['doctor'], { env: { ...env, BERTH_URL: 'http://127.0.0.1:9' } }, served.folder)
  expect(nobody).toMatchObject({ code: 5, stdout: expect.stringMatching(/^FAIL server .*npm start/m) })
})

test('doctor says which accounts are ill, what is left unaccounted, and asks for no Python where none is needed', async () => {
  await using served = await openServed()
  const env = { BERTH_DATA_DIR: served.folder, BERTH_LOCAL_PROVIDER: 'false' }
  const well = (await served.cli(['doctor'], { env })).stdout
  expect(well).toMatch(/^ok {3}orphans +none$/m)
  expect(well).not.toContain('Python')
  const { world } = served
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.settle(2)
  await world.deps.db.deleteFrom('heartbeats').execute()
  await world.deps.db.deleteFrom('reservations').execute()
  await world.deps.db.deleteFrom('attempts').execute()
  await scanOrphans(world.deps)
  const ill = await served.cli(['doctor'], { env })
  expect(ill.stdout).toMatch(/^FAIL orphans +1, at 0\.36 USD an hour: see "berth admin orphans list"/m)
  expect(ill.code).toBe(1)
})

test('doctor says which accounts do not answer, what is refused of them, and which rate is old', async () => {
  await using served = await openServed()
  const env = { BERTH_DATA_DIR: served.folder }
  const now = served.world.deps.clock.now()
  const well: OfferSource = {
    provider: 'tencent',
    account: 'desk',
    asked_at: now,
    tried_at: now,
    due_at: now,
    error: null,
    failures: 0,
    missing: [],
    refused: [{ reason: 'price', count: 3, examples: [] }],
    offers: 12,
    stale: 0,
    rates: [{ currency: 'CNY', per_usd: 7.1, at: '2025-06-01', source: 'desk' }],
  }
  served.world.deps.offer_sources = () => [well]
  const warned = (await served.cli(['doctor'], { env })).stdout
  expect(warned).toMatch(/^ok {3}offers +12 of 1 accounts: tencent\/desk: 3 offers are refused/m)
  expect(warned).toContain('tencent/desk: the rate of CNY is of 2025-06-01: set it anew')
  served.world.deps.offer_sources = () => [{ ...well, error: 'unauthorized: the key' }]
  expect((await served.cli(['doctor'], { env })).stdout).toMatch(
    /^FAIL offers .*tencent\/desk: unauthorized/m,
  )
  const other = await served.world.secondProject()
  const theirs = await served.cli(['doctor'], { env: { ...env, BERTH_API_KEY: other.key } })
  expect(theirs.stdout).toMatch(/^ok {3}offers +not looked at/m)
})

test('offers are a table, cheapest first, filtered by the server', async () => {
  await using served = await openServed()
  const { code, stdout } = await served.cli(['offers'])
  expect(code).toBe(0)
  const lines = stdout.trimEnd().split('\n')
  expect(lines[0]).toMatch(/^PROVIDER +REGION +OFFER +USD\/H +GPU +VRAM +CPU +GIB +STOCK +PRICE +STATE$/)
  expect(lines[1]).toMatch(/^model\/main +here +cpu +0\.36 +8 +32 +0\/2 +\?$/)
  const at = new Date(served.world.deps.clock.now().getTime() - 300_000).toISOString()
  const rate = { per_usd: 7, at: '2025-06-01', source: 'desk' }
  served.world.model.offers.push({
    ...(served.world.model.offers[0] as Offer),
    id: 'ppu',
    usd_per_hour: 2,
    gpu: { model: 'PPU 810E', count: 2, memory_gib: 0, compute_capability: null },
    stale_since: at,
    price: { source: 'DescribePrice', at, live: true, charged: { currency: 'CNY', per_hour: 14, rate } },
  })
  const [, , odd] = (await served.cli(['offers'])).stdout.split('\n')
  expect(odd).toMatch(/2 x PPU 810E \(unknown\) +\? /)
  expect(odd).toContain('DescribePrice, 5 min old, 14 CNY at 7 of 2025-06-01 (old rate)')
  expect(odd).toContain(`stale since ${at}`)
  const none = await served.cli(['offers', '--gpu', 'L4', '--free', '--max-usd-per-hour', '0.5', '--json'])
  expect(JSON.parse(none.stdout)).toEqual({ items: [], next_cursor: null })
  expect(await served.cli(['offers', '--limit', '0'])).toMatchObject({ code: 2 })
})
