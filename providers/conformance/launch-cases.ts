// One attempt, one thing: whatever is repeated, raced, lost or delayed.
import {
  type Bench,
  type Case,
  defineCase,
  failureOf,
  isAlive,
  isOver,
  listed,
  must,
  mustEqual,
  observe,
  passBeforeRepeat,
  passLag,
  until,
  untilSeen,
} from './bench.ts'

export const launchCases: Case[] = [
  defineCase('launched again, an attempt is the same thing', ['things'], async (bench, back) => {
    const first = await bench.launch()
    await passBeforeRepeat(bench)
    const second = await bench.launch(first.attempt_id)
    mustEqual(second.handle, first.handle, 'the handle of the second launch')
    mustEqual(await back.things(first.attempt_id), 1, 'things of the attempt')
  }),

  defineCase(
    'launched again by another replica, an attempt is the same thing',
    ['things'],
    async (bench, back) => {
      const first = await bench.launch()
      await passBeforeRepeat(bench)
      const second = await bench.launch(first.attempt_id, bench.replica())
      mustEqual(second.handle, first.handle, 'the handle that the other replica got')
      mustEqual(await back.things(first.attempt_id), 1, 'things of the attempt')
    },
  ),

  defineCase('launched by several at once, an attempt is one thing', ['things'], async (bench, back) => {
    if (!bench.provider.traits.launch_token)
      return { skipped: 'without a launch token the core never has two launches of one attempt under way' }
    const id = bench.newId()
    const by = [bench.provider, bench.provider, bench.replica(), bench.replica()]
    const all = await Promise.all(by.map((provider) => bench.launch(id, provider)))
    for (const { handle } of all) mustEqual(handle, all[0]?.handle, 'the handles of launches at once')
    mustEqual(await back.things(id), 1, 'things of the attempt')
  }),

  defineCase(
    'a launch whose answer was lost is found by its repeat',
    ['things', 'loseAnswer'],
    async (bench, back) => {
      const id = bench.newId()
      back.loseAnswer('launch')
      // An adapter may find it by itself, too.
      const code = await bench.launch(id).then(
        () => null,
        (error: unknown) => (error as { code?: string }).code,
      )
      must(code === null || code === 'unknown_outcome', `its error: expected unknown_outcome, saw ${code}`)
      mustEqual(await back.things(id), 1, 'things after the lost answer')
      await passBeforeRepeat(bench)
      const again = await bench.launch(id, bench.replica())
      mustEqual(await back.things(id), 1, 'things after the repeat')
      await untilSeen(bench, again, isAlive, 'the thing with the handle of the repeat')
    },
  ),

  defineCase(
    'a launch repeated while lists lag starts nothing new',
    ['things', 'hide'],
    async (bench, back) => {
      const { list_lag_ms } = bench.provider.traits
      if (list_lag_ms === 0) return { skipped: 'its lists do not lag: list_lag_ms is 0' }
      back.hide(list_lag_ms)
      const first = await bench.launch()
      await passBeforeRepeat(bench)
      await bench.launch(first.attempt_id, bench.replica())
      mustEqual(await back.things(first.attempt_id), 1, 'things of the attempt')
    },
  ),

  defineCase('what was launched is seen and listed once the list lag is over', [], async (bench, back) => {
    back.hide?.(bench.provider.traits.list_lag_ms)
    const { attempt_id, handle, request } = await bench.launch()
    await passLag(bench)
    const seen = await observe(bench, { attempt_id, handle, request })
    must(seen.state !== 'gone' && seen.state !== 'unseen', `inspect after list_lag_ms saw ${seen.state}`)
    const found = await listed(bench)
    must(
      found.some((each) => each.attempt_id === attempt_id),
      'list after list_lag_ms did not give it',
    )
  }),

  defineCase(
    'launched again after its end, an attempt does not run again',
    ['things', 'finish'],
    async (bench, back) => {
      const first = await bench.launch()
      await untilSeen(bench, first, isAlive, 'the start')
      await back.finish(first.attempt_id, 0)
      const end = await untilSeen(bench, first, isOver, 'the end')
      if (end.state === 'gone') return { skipped: 'this vendor forgets what has ended' }
      await bench.launch(first.attempt_id)
      await passLag(bench)
      mustEqual(await back.things(first.attempt_id), 0, 'things of an attempt that was over')
      mustEqual(await observe(bench, first), end, 'what is seen of it')
    },
  ),

  defineCase('a handle survives JSON and serves another replica', [], async (bench) => {
    const first = await bench.launch()
    const handle = JSON.parse(JSON.stringify(first.handle)) as typeof first.handle
    mustEqual(handle, first.handle, 'the handle as JSON')
    await passLag(bench)
    const other = bench.replica()
    const seen = await until(
      bench,
      'the thing by its stored handle',
      () => observe(bench, { ...first, handle }, other),
      isAlive,
    )
    must(isAlive(seen), `saw ${seen.state}`)
    await other.stop({ ...first, handle }, bench.signal)
    await untilSeen(bench, first, isOver, 'the end')
  }),

  defineCase('a launch that was given up before it began starts nothing', ['things'], async (bench, back) => {
    const request = await bench.world.request(bench.newId())
    const given = bench.provider.launch(request, bench.secrets, AbortSignal.abort())
    const { code } = await failureOf(given, 'launch with an aborted signal')
    must(code === 'unknown_outcome' || code === 'unavailable', `its error: saw ${code}`)
    await passLag(bench)
    mustEqual(await back.things(request.attempt_id), 0, 'things of the attempt')
  }),

  defineCase('the dead-man switch is later than the deadline', ['deadMan'], async (bench, back) => {
    const { attempt_id, request } = await bench.launch()
    const switched = await back.deadMan(attempt_id)
    must(switched !== null, 'no dead-man switch is set')
    const margin_ms = (switched?.getTime() ?? 0) - Date.parse(request.deadline_at)
    must(margin_ms > 0, `it is ${margin_ms} ms after the deadline of the request`)
    // It bounds the loss when Berth dies, so it must not be for ever.
    must(margin_ms <= margin_most_ms, `it is ${margin_ms} ms after the deadline: at most ${margin_most_ms}`)
  }),

  defineCase('names are RFC 1123 labels of at most 45 characters', [], async (bench, back) => {
    await launchSome(bench, 2)
    await back.helper?.()
    for (const { name, attempt_id } of await listed(bench)) {
      must(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name), `${name} is not a label of RFC 1123`)
      // Helpers put a word after the name of the attempt.
      const most = attempt_id === null ? 63 : 45
      must(name.length <= most, `${name} has ${name.length} characters: at most ${most}`)
    }
  }),
]

const margin_most_ms = 24 * 3_600_000

async function launchSome(bench: Bench, count: number): Promise<void> {
  for (let each = 0; each < count; each++) await bench.launch()
  await passLag(bench)
}
