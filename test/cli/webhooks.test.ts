import { expect, test } from 'vitest'
import type { FeedEvent } from '../../jobs/feed.ts'
import { openServed, until } from './served.ts'

test('an endpoint is registered, tested, listed, rotated, turned off and on, and deleted', async () => {
  await using served = await openServed()
  const made = await served.cli(['webhooks', 'create', 'https://example.com/hook', '--event', 'job.failed'])
  expect(made.code).toBe(0)
  expect(made.stdout).toMatch(/^whsec_\S{44}\n$/)
  const id = /whk_[a-z0-9]+/.exec(made.stderr)?.[0] ?? ''
  const tested = await served.cli(['webhooks', 'test', id])
  expect(tested).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^delivered: answered 200 after \d+ ms\n$/),
  })
  const list = await served.cli(['webhooks', 'list'])
  expect(list.stdout).toMatch(
    new RegExp(
      `^ID +STATE +EVENTS +FAILURES +URL\\n${id} +enabled +job\\.failed +0 +https://example\\.com/hook`,
    ),
  )
  const rotated = await served.cli(['webhooks', 'rotate', id, '--grace', '60'])
  expect(rotated.stdout).toMatch(/^whsec_/)
  expect(rotated.stdout).not.toBe(made.stdout)
  expect((await served.cli(['webhooks', 'disable', id])).stdout).toBe(`${id} disabled\n`)
  expect((await served.cli(['webhooks', 'enable', id])).stdout).toBe(`${id} enabled\n`)
  expect((await served.cli(['webhooks', 'delete', id])).code).toBe(0)
  expect(JSON.parse((await served.cli(['webhooks', 'list', '--json'])).stdout)).toMatchObject({ items: [] })
  expect((await served.cli(['webhooks', 'test', id])).code).toBe(3)
})

test('a test that is not taken fails, and shows what was answered', async () => {
  await using served = await openServed()
  served.world.receive(() => new Response('no such\nroute', { status: 404 }))
  const { stdout } = await served.cli(['webhooks', 'create', 'https://example.com/hook', '--json'])
  const { id } = JSON.parse(stdout) as { id: string }
  const tested = await served.cli(['webhooks', 'test', id])
  expect(tested).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^exhausted: answered 404 .*\nno such route\n$/),
  })
})

test('wrong usage is refused by name', async () => {
  await using served = await openServed()
  const refused = async (argv: string[], text: string) =>
    expect(await served.cli(argv)).toMatchObject({ code: 2, stderr: expect.stringContaining(text) })
  await refused(['webhooks', 'test', 'x'], 'is not a webhook id')
  await refused(['webhooks', 'create', 'ftp://example.com'], 'url')
  await refused(['webhooks', 'create', 'https://example.com', '--event', 'job.exploded'], 'events.0')
  await refused(['webhooks', 'create', 'https://example.com', '--event', 'nonsense'], 'job.succeeded')
  await refused(['events', 'job_01jd3m4k5nep7r8r9s0t1v2w3x', '--follow'], 'leave the job id out')
  await refused(['events', '--after', 'nonsense'], 'place in the feed')
})

test('the events of the project are listed, and followed over a broken connection until Ctrl-C', async () => {
  await using served = await openServed()
  const ids = [await served.submitted(), await served.submitted()]
  const list = await served.cli(['events'])
  expect(list.stdout).toMatch(/^ID +AT +TYPE +JOB +DATA\n/)
  for (const id of ids) expect(list.stdout).toContain(id)
  const lines = (await served.cli(['events', '--json'])).stdout.trim().split('\n')
  const all = lines.map((line) => JSON.parse(line) as FeedEvent)
  expect(all.map(({ job_id }) => job_id)).toEqual(ids)
  const after = await served.cli(['events', '--json', '--after', all[0]?.id ?? ''])
  expect(JSON.parse(after.stdout)).toEqual(all[1])

  const stop = new AbortController()
  const live = { stdout: '', stderr: '' }
  let streams = 0
  served.fault(async ({ request, cut, answer }) => {
    if (!request.headers.get('accept')?.includes('event-stream') || ++streams > 1) return null
    // The first stream breaks before it has said anything; what happens meanwhile is not passed over.
    ids.push(await served.submitted())
    cut()
    return answer()
  })
  const following = served.cli(['events', '--follow', '--json'], { interrupted: stop.signal, live })
  await until(() => ids[2] && live.stdout.includes(ids[2]), 'the event is shown')
  ids.push(await served.submitted())
  await until(() => live.stdout.includes(ids[3] ?? ''), 'the next is shown')
  stop.abort()
  const { code, stdout } = await following
  expect(code).toBe(130)
  const shown = stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as FeedEvent).job_id)
  expect(shown).toEqual(ids.slice(2))
})
