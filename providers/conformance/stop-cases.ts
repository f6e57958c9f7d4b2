// Stopping, and finding what there is: what costs money must be found, and must end.
import {
  type Case,
  defineCase,
  failureOf,
  isAlive,
  isOver,
  type Launched,
  listed,
  must,
  mustEqual,
  observe,
  passLag,
  show,
  until,
  untilSeen,
} from './bench.ts'

export const stopCases: Case[] = [
  defineCase('stop may be repeated, and inspect confirms it', ['things'], async (bench, back) => {
    const first = await bench.launch()
    await untilSeen(bench, first, isAlive, 'the start')
    await bench.provider.stop(first, bench.signal)
    await bench.provider.stop(first, bench.signal)
    await untilSeen(bench, first, isOver, 'the end')
    mustEqual(await back.things(first.attempt_id), 0, 'things when inspect said that it is over')
    await bench.replica().stop(first, bench.signal)
    const found = await until(
      bench,
      'the list without it',
      () => listed(bench),
      (all) => !isIn(all, first),
    )
    must(!isIn(found, first), 'list still gives it')
  }),

  defineCase('stop of what is gone is no error', ['vanish'], async (bench, back) => {
    const first = await bench.launch()
    await untilSeen(bench, first, isAlive, 'the start')
    await back.vanish(first.attempt_id)
    await bench.provider.stop(first, bench.signal)
    await bench.provider.stop({ ...first, handle: null }, bench.signal)
  }),

  defineCase('a stop without a handle ends what has the name', ['things'], async (bench, back) => {
    const first = await bench.launch()
    await passLag(bench)
    await bench.replica().stop({ ...first, handle: null }, bench.signal)
    await until(
      bench,
      'the end',
      () => back.things(first.attempt_id),
      (count) => count === 0,
    )
  }),

  defineCase(
    'a stop whose answer was lost may be repeated',
    ['things', 'loseAnswer'],
    async (bench, back) => {
      const first = await bench.launch()
      await untilSeen(bench, first, isAlive, 'the start')
      back.loseAnswer('stop')
      const code = await bench.provider.stop(first, bench.signal).then(
        () => null,
        (error: unknown) => (error as { code?: string }).code,
      )
      must(code === null || code === 'unknown_outcome', `its error: expected unknown_outcome, saw ${code}`)
      await bench.provider.stop(first, bench.signal)
      await until(
        bench,
        'the end',
        () => back.things(first.attempt_id),
        (count) => count === 0,
      )
    },
  ),

  defineCase('a stop ends one attempt and no other', ['things'], async (bench, back) => {
    const [first, second] = [await bench.launch(), await bench.launch()]
    await untilSeen(bench, second, isAlive, 'the start')
    await bench.provider.stop(first, bench.signal)
    await untilSeen(bench, first, isOver, 'the end')
    mustEqual(await back.things(second.attempt_id), 1, 'things of the other attempt')
  }),

  defineCase('nothing is billed after the end', ['bill'], async (bench, back) => {
    const first = await bench.launch()
    await untilSeen(bench, first, ({ state }) => state === 'running', 'the start')
    await bench.provider.stop(first, bench.signal)
    await untilSeen(bench, first, isOver, 'the end')
    const billed = await back.bill(first.attempt_id)
    must(billed > 0, 'the vendor has billed nothing at all')
    await bench.world.pass(minute_ms)
    mustEqual(await back.bill(first.attempt_id), billed, 'seconds billed a minute after the end')
  }),

  defineCase('list gives what is ours and nothing else', ['foreign'], async (bench, back) => {
    await back.foreign()
    const ours = [await bench.launch(), await bench.launch()]
    await passLag(bench)
    const found = await listed(bench)
    const ids = found.flatMap(({ attempt_id }) => attempt_id ?? [])
    mustEqual(ids.toSorted(), ours.map(({ attempt_id }) => attempt_id).toSorted(), 'attempts in the list')
    for (const { usd_per_hour, since } of found) {
      must(Number.isFinite(usd_per_hour) && usd_per_hour >= 0, `usd_per_hour: saw ${usd_per_hour}`)
      must(since === null || !Number.isNaN(Date.parse(since)), `since: saw ${since}`)
    }
  }),

  defineCase(
    'list gives helpers, of no attempt, and they can be stopped',
    ['helper'],
    async (bench, back) => {
      const name = await back.helper()
      await passLag(bench)
      const found = (await listed(bench)).find((each) => each.name === name)
      must(found !== undefined, `list did not give the helper ${name}`)
      mustEqual(found?.attempt_id, null, 'the attempt of a helper')
      const ref = { attempt_id: bench.newId(), handle: found?.handle ?? {}, request: null }
      await bench.provider.stop(ref, bench.signal)
      const after = await until(
        bench,
        'the list without it',
        () => listed(bench),
        (all) => all.every((each) => each.name !== name),
      )
      must(
        after.every((each) => each.name !== name),
        'list still gives it',
      )
    },
  ),

  defineCase(
    'what list gives can be inspected and stopped without its request',
    ['things'],
    async (bench, back) => {
      const first = await bench.launch()
      await untilSeen(bench, first, isAlive, 'the start')
      const found = (await listed(bench)).find((each) => each.attempt_id === first.attempt_id)
      must(found !== undefined, 'list did not give it')
      const orphan = { attempt_id: first.attempt_id, handle: found?.handle ?? {}, request: null }
      const other = bench.replica()
      const seen = await observe(bench, orphan, other)
      must(isAlive(seen), `inspect of the handle that list gave: saw ${show(seen)}`)
      await other.stop(orphan, bench.signal)
      await until(
        bench,
        'the end',
        () => back.things(first.attempt_id),
        (count) => count === 0,
      )
    },
  ),

  defineCase('every page of a list is read', ['pages'], async (bench, back) => {
    back.pages(2)
    const ours = []
    for (let each = 0; each < 5; each++) ours.push((await bench.launch()).attempt_id)
    await passLag(bench)
    const ids = (await listed(bench)).flatMap(({ attempt_id }) => attempt_id ?? [])
    mustEqual(ids.toSorted(), ours.toSorted(), 'attempts in a list of small pages')
    const refs = await Promise.all(
      ours.map(async (attempt_id) => ({
        attempt_id,
        handle: null,
        request: await bench.world.request(attempt_id),
      })),
    )
    const seen = await bench.provider.inspect(refs, bench.signal)
    must(seen.every(isAlive), `inspect over small pages: saw ${show(seen.map(({ state }) => state))}`)
  }),

  defineCase(
    'a list that breaks off is an error and never a short list',
    ['pages', 'fail', 'calm'],
    async (bench, back) => {
      back.pages(2)
      for (let each = 0; each < 5; each++) await bench.launch()
      await passLag(bench)
      if (!back.fail('list', 'server_error', 1)) return { skipped: 'this back end cannot fail so' }
      const { code } = await failureOf(listed(bench), 'a list whose second page fails')
      mustEqual(code, 'unavailable', 'its error')
      back.calm()
    },
  ),
]

const isIn = (found: readonly { attempt_id: string | null }[], { attempt_id }: Launched) =>
  found.some((each) => each.attempt_id === attempt_id)

const minute_ms = 60_000
