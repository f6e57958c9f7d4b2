// Names of the places where the code waits, from the stack: `announce act.ts:47 < act act.ts:30`, innermost first.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Files whose every await must be crashed at. */
export const passFiles = ['reconcile.ts', 'round.ts', 'act.ts', 'observe.ts'] as const
const frame =
  /at (?:async )?(?:([\w.]+) )?\(?(?:file:\/\/)?[^ (]*[/\\]jobs[/\\](?:store[/\\])?([\w-]+\.ts):(\d+)/
/** Deep enough for the store's helpers between a statement and the pass. */
const frames = 40

/** What was read from a stack before: reading costs more than a statement does, and there are few stacks. */
const read = new Map<string, string>()
/** Distinct stacks of all code under test; beyond this they are read again. */
const maxRead = 20_000

/** Where the caller stands, seen through its awaits. */
export function awaitPoint(kind: string): string {
  const before = Error.stackTraceLimit
  Error.stackTraceLimit = frames
  const { stack = '' } = new Error()
  Error.stackTraceLimit = before
  const places = read.get(stack) ?? placesOf(stack)
  return places === '' ? kind : `${kind} ${places}`
}

function placesOf(stack: string): string {
  const places: string[] = []
  for (const line of stack.split('\n')) {
    const match = frame.exec(line)
    if (match) places.push(`${match[1] ? `${match[1]} ` : ''}${match[2]}:${match[3]}`)
  }
  const text = places.join(' < ')
  if (read.size >= maxRead) read.clear()
  read.set(stack, text)
  return text
}

/** The `file:line` that a place names. */
export const awaitsOf = (place: string): string[] => place.match(/[\w-]+\.ts:\d+/g) ?? []

/**
 * Awaits that reach no dependency of their own: what cannot be decided and rows that are gone are given back, which
 * nothing here brings about; who waits for an answer, or for the round before, dies where that is made.
 */
const neverReached = [
  'await giveBack(deps, [...undecided',
  'await Promise.race([answered',
  'await Promise.race([quiet',
  'await written',
  '() => written)',
]

/**
 * Awaits of a park for want of a budget that had room at the decision: to die at each takes hundreds of seeds, which
 * `npm run bench -- simulate` has.
 */
const rarelyReached = [
  'await park(deps',
  'const answers = await orGiveBack(deps, claimed, () => commitDecisions(',
  'if (unwritten.length > 0) await giveBack',
]

/** `file:line` of every await in the pass; of the rare ones only if asked for. */
export function passAwaits(jobs_folder: string, rare: boolean): string[] {
  const passed = rare ? neverReached : [...neverReached, ...rarelyReached]
  return passFiles.flatMap((file) => {
    const lines = readFileSync(join(jobs_folder, file), 'utf8').split('\n')
    return lines.flatMap((line, index) => {
      const isAwait = /\bawait\b/.test(line.replace(/\/\/.*|^\s*\*.*/, ''))
      const isReached = !passed.some((code) => line.includes(code))
      return isAwait && isReached ? [`${file}:${index + 1}`] : []
    })
  })
}
