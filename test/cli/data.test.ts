// Pushing a file of prices from the command line.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { openServed } from './served.ts'

const samples = join(import.meta.dirname, '../../containers/samples')
const prices = join(samples, 'indices.parquet')

interface Dataset {
  id: string
  name: string
  state: string
  bytes: number
}

test('a file is pushed, named by its id, listed and deleted; again it is not sent', async () => {
  await using served = await openServed()
  const first = await served.cli(['data', 'push', prices, '--adjustment', 'total'])
  expect(first).toMatchObject({ code: 0 })
  expect(first.stdout).toMatch(/^ds_[0-9a-z]{26}\n$/)
  expect(first.stderr).toBe(
    'indices.parquet: 10062 rows; 1999-01-04 to 2018-12-31; date, symbol, open, high, low, close, volume\n',
  )
  const sent = () => served.seen.filter(({ method }) => method === 'PUT').length
  expect(sent()).toBe(1)
  const again = await served.cli(['data', 'push', prices, '--adjustment', 'total', '--json'])
  const dataset = JSON.parse(again.stdout) as Dataset
  expect(dataset).toMatchObject({ id: first.stdout.trim(), name: 'indices.parquet', state: 'ready' })
  expect(sent()).toBe(1)
  const list = await served.cli(['data', 'list'])
  expect(list.stdout).toMatch(new RegExp(`${dataset.id}\\s+indices.parquet\\s+[\\d.]+ [KM]i?B\\s+ready`))
  expect(await served.cli(['data', 'delete', dataset.id])).toMatchObject({ code: 0 })
  expect((await served.cli(['data', 'list'])).stdout).toBe('')
})

test('an upload that was broken off goes on where it was', async () => {
  await using served = await openServed()
  const file = join(served.folder, 'prices.csv')
  writeFileSync(file, `date,close\n${'2020-01-02,10\n'.repeat(2_500_000)}`)
  const push = ['data', 'push', file, '--adjustment', 'none']
  let parts = 0
  // The server takes one part and then nothing but refusals.
  served.fault(async ({ request, answer }) => {
    if (request.method !== 'PUT' || parts > 3) return null
    parts++
    return parts === 1
      ? answer()
      : new Response('{"code":"forbidden","status":403}', {
          status: 403,
          headers: { 'content-type': 'application/problem+json' },
        })
  })
  expect((await served.cli(push)).code).not.toBe(0)
  expect(parts).toBe(2)
  parts = 4
  const before = served.seen.length
  expect(await served.cli(push)).toMatchObject({ code: 0 })
  const numbers = served.seen
    .slice(before)
    .filter(({ method }) => method === 'PUT')
    .map(({ url }) => url.split('/').at(-1))
  expect(numbers).toEqual(['1', '2'])
  const bytes = await served.world.deps.db.selectFrom('datasets').select(['bytes', 'state']).execute()
  expect(bytes).toEqual([{ bytes: readFileSync(file).length, state: 'ready' }])
})

test('a slow line, and a server that puts a large file together, are waited for', async () => {
  await using served = await openServed()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    served.fault(({ request }) => {
      if (/\/(parts|complete)\b/.test(request.url)) vi.advanceTimersByTime(2 * 60_000)
      return null
    })
    expect(await served.cli(['data', 'push', prices, '--adjustment', 'total'])).toMatchObject({ code: 0 })
  } finally {
    vi.useRealTimers()
  }
})

test.for([
  [['data', 'push', 'nothing.csv', '--adjustment', 'total'], /there is no such file/],
  [['data', 'push', '.', '--adjustment', 'total'], /is not a file/],
  [['data', 'push', 'prices.xlsx', '--adjustment', 'total'], /must end in .parquet or .csv/],
  [['data', 'push', prices], /--adjustment/],
  [['data', 'delete', 'job_1'], /is not a dataset id/],
] as const)('%j is refused before anything is sent', async ([argv, message]) => {
  await using served = await openServed()
  writeFileSync(join(served.folder, 'prices.xlsx'), 'x')
  const { code, stderr } = await served.cli([...argv])
  expect(code).toBe(2)
  expect(stderr).toMatch(message)
  expect(served.seen).toEqual([])
})
