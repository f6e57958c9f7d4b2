// What many ask for at one time is read for all of them: each gets what they would have got alone.
import { expect, test } from 'vitest'
import type { JobView } from '../../jobs/view.ts'
import { backtest, openTestWorld } from '../support/world.ts'

const jobsOf = async (answer: Response) => ((await answer.json()) as { items: JobView[] }).items

test('jobs and lists that are asked for at once are answered as one by one, to their own project alone', async () => {
  await using world = await openTestWorld()
  const second = await world.secondProject()
  const submit = async (key?: string) => {
    const answer = await world.request('POST', '/v1/jobs', { body: backtest(), ...(key ? { key } : {}) })
    return ((await answer.json()) as JobView).id
  }
  const first: string[] = []
  for (let n = 0; n < 6; n++) first.push(await submit())
  const others = [await submit(second.key), await submit(second.key)]
  await world.pass()
  const alone = new Map<string, unknown>()
  for (const id of first) alone.set(id, await (await world.request('GET', `/v1/jobs/${id}`)).json())
  const page = await jobsOf(await world.request('GET', '/v1/jobs?limit=4'))

  // More than are read in one statement, of two projects, some of them twice.
  const asked = Array.from({ length: 120 }, (_, n) => [...first, ...others][n % 8] ?? '')
  const answers = await Promise.all([
    ...asked.map((id) => world.request('GET', `/v1/jobs/${id}`)),
    ...asked.map((id) => world.request('GET', `/v1/jobs/${id}`, { key: second.key })),
  ])
  for (const [index, answer] of answers.entries()) {
    const id = asked[index % asked.length] ?? ''
    const isOwn = first.includes(id) === index < asked.length
    expect(answer.status, `${id} of ${index}`).toBe(isOwn ? 200 : 404)
    const said = (await answer.json()) as JobView
    if (index < asked.length && isOwn) expect(said).toEqual(alone.get(id))
  }

  const lists = await Promise.all(
    [undefined, second.key, undefined, second.key].map((key) =>
      world.request('GET', '/v1/jobs?limit=4', key ? { key } : {}),
    ),
  )
  const [own, other, again, otherAgain] = await Promise.all(lists.map(jobsOf))
  expect(own).toEqual(page)
  expect(again).toEqual(page)
  expect(other?.map(({ id }) => id).toSorted()).toEqual(others.toSorted())
  expect(otherAgain).toEqual(other)
})

test('who asks while others are answered sees what was stored before they asked', async () => {
  await using world = await openTestWorld()
  const submitAndRead = async () => {
    const answer = await world.request('POST', '/v1/jobs', { body: backtest() })
    const { id } = (await answer.json()) as JobView
    const [job, list] = await Promise.all([
      world.request('GET', `/v1/jobs/${id}`),
      world.request('GET', '/v1/jobs?limit=100'),
    ])
    expect(job.status).toBe(200)
    expect((await jobsOf(list)).map((each) => each.id)).toContain(id)
  }
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let n = 0; n < 4; n++) await submitAndRead()
    }),
  )
})
