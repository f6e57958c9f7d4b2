// What is told of a thing: in order, in bulk, with its exit code and the vendor's reason, and `gone` as an answer.
import {
  type Case,
  defineCase,
  isAlive,
  isOver,
  type Launched,
  must,
  mustEqual,
  observe,
  passLag,
  show,
  until,
  untilSeen,
} from './bench.ts'
import { endReasons, waitReasons } from './subject.ts'

export const observeCases: Case[] = [
  defineCase('without a handle a thing is looked up', ['things'], async (bench, back) => {
    const first = await bench.launch()
    await passLag(bench)
    const seen = await observe(bench, { ...first, handle: null }, bench.replica())
    must(isAlive(seen), `by name alone: saw ${show(seen)}`)
    mustEqual(await back.things(first.attempt_id), 1, 'things after the look-up')
  }),

  defineCase('without a handle nothing is ever launched', ['things'], async (bench, back) => {
    const never = await bench.never()
    const seen = await observe(bench, never)
    mustEqual(seen.state, 'gone', 'what was never launched')
    await bench.provider.stop(never, bench.signal)
    mustEqual(await back.things(never.attempt_id), 0, 'things of the attempt')
  }),

  defineCase('gone is an answer and not an error', ['vanish'], async (bench, back) => {
    const first = await bench.launch()
    await untilSeen(bench, first, isAlive, 'the start')
    await back.vanish(first.attempt_id)
    await untilSeen(bench, first, ({ state }) => state === 'gone', 'gone, by its handle')
    const seen = await observe(bench, { ...first, handle: null })
    mustEqual(seen.state, 'gone', 'by its name')
  }),

  defineCase('observations come in the order of the refs', [], async (bench) => {
    const [a, b] = [await bench.launch(), await bench.launch()]
    await passLag(bench)
    const never = [await bench.never(), await bench.never(), await bench.never()] as const
    const refs = [never[0], a, never[1], never[2], b]
    const seen = await bench.provider.inspect(refs, bench.signal)
    const alive = seen.map((each) => (isAlive(each) ? 'alive' : each.state))
    mustEqual(alive, ['gone', 'alive', 'gone', 'gone', 'alive'], 'never, launched, never, never, launched')
    mustEqual(await bench.provider.inspect([], bench.signal), [], 'observations of no ref')
  }),

  defineCase('the exit code is told', ['finish'], async (bench, back) => {
    for (const code of [0, 3]) {
      const first = await bench.launch()
      await untilSeen(bench, first, isAlive, 'the start')
      await back.finish(first.attempt_id, code)
      const seen = await untilSeen(bench, first, isOver, 'the end')
      if (back.no_exit_codes)
        must(!('exit_code' in seen) || seen.exit_code === null, `a guess: ${show(seen)}`)
      else
        mustEqual(
          { state: seen.state, code: 'exit_code' in seen && seen.exit_code },
          { state: 'exited', code },
          'the end',
        )
    }
  }),

  ...endReasons.map((reason) =>
    defineCase(`the end is told with its reason: ${reason}`, ['end'], async (bench, back) => {
      const end = back.end[reason]
      if (!end) return { skipped: `the subject has no control end.${reason}` }
      const first = await bench.launch()
      await untilSeen(bench, first, ({ state }) => state === 'running', 'the start')
      await end(first.attempt_id)
      const seen = await untilSeen(bench, first, isOver, 'the end')
      mustEqual('reason' in seen ? seen.reason : null, reason, `the reason of ${show(seen)}`)
    }),
  ),

  ...waitReasons.map((reason) =>
    defineCase(`waiting is told with its reason: ${reason}`, ['hinder'], async (bench, back) => {
      const hinder = back.hinder[reason]
      if (!hinder) return { skipped: `the subject has no control hinder.${reason}` }
      const id = bench.newId()
      await hinder(id)
      const first = await bench.launch(id)
      const isTold = (seen: object) => 'reason' in seen && seen.reason === reason
      const seen = await untilSeen(bench, first, isTold, `the reason ${reason}`)
      mustEqual(seen.state, 'pending', 'its state')
    }),
  ),

  defineCase('1,000 refs take no more vendor requests than their batches', ['calls'], async (bench, back) => {
    const crowd = back.crowd ?? refs_count
    const launched: Launched[] = []
    for (let at = 0; at < crowd; at += at_once)
      launched.push(
        ...(await Promise.all(Array.from({ length: Math.min(at_once, crowd - at) }, () => bench.launch()))),
      )
    await passLag(bench)
    const refs = Array.from({ length: refs_count }, (_, each) => launched[each % crowd] as Launched)
    const { inspect_batch } = bench.provider.traits
    const before = back.calls()
    let batches = 0
    for (let at = 0; at < refs_count; at += inspect_batch, batches++) {
      const part = refs.slice(at, at + inspect_batch)
      const seen = await bench.provider.inspect(part, bench.signal)
      mustEqual(seen.length, part.length, 'observations of a batch')
      const odd = seen.find((each) => !isAlive(each) && each.state !== 'exited')
      must(odd === undefined, `one of them: saw ${show(odd)}`)
    }
    const [used, most] = [back.calls() - before, batches * (back.calls_per_inspect ?? 1)]
    must(used <= most, `${used} vendor requests for ${batches} batches: at most ${most}`)
  }),

  defineCase('the end of its own log is told, and not more than 64 KiB', ['print'], async (bench, back) => {
    const { provider } = bench
    if (!provider.tail) return { skipped: 'the adapter has no tail' }
    const first = await bench.launch()
    await untilSeen(bench, first, ({ state }) => state === 'running', 'the start')
    const last = 'the-last-line-of-all'
    await back.print(first.attempt_id, `${`${'x'.repeat(99)}\n`.repeat(1_000)}${last}\n`)
    const text = await until(
      bench,
      'the last line',
      async () => (await provider.tail?.(first, bench.signal)) ?? '',
      (seen) => seen.includes(last),
    )
    must(Buffer.byteLength(text) <= tail_bytes, `it has ${Buffer.byteLength(text)} bytes`)
  }),
]

const refs_count = 1_000
/** Launches under way at a time. */
const at_once = 20
const tail_bytes = 64 * 1024
