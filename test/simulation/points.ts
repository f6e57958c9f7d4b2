// Names of the places where the code waits, from the stack: `announce act.ts:47 < act act.ts:30`, innermost first.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Files whose every await must be crashed at. */
export const passFiles = ['reconcile.ts', 'act.ts', 'observe.ts'] as const
const frame =
  /at (?:async )?(?:([\w.]+) )?\(?(?:file:\/\/)?[^ (]*[/\\]jobs[/\\](?:store[/\\])?([\w-]+\.ts):(\d+)/
/** Deep enough for the store's helpers between a statement and the pass. */
const frames = 40

/** Where the caller stands, seen through its awaits. */
export function awaitPoint(kind: string): string {
  const before = Error.stackTraceLimit
  Error.stackTraceLimit = frames
  const { stack = '' } = new Error()
  Error.stackTraceLimit = before
  const places: string[] = []
  for (const line of stack.split('\n')) {
    const match = frame.exec(line)
    if (match) places.push(`${match[1] ? `${match[1]} ` : ''}${match[2]}:${match[3]}`)
  }
  return places.length === 0 ? kind : `${kind} ${places.join(' < ')}`
}

/** `file:line` of every await in the pass. */
export function passAwaits(jobs_folder: string): string[] {
  return passFiles.flatMap((file) =>
    readFileSync(join(jobs_folder, file), 'utf8')
      .split('\n')
      .flatMap((line, index) =>
        /\bawait\b/.test(line.replace(/\/\/.*|^\s*\*.*/, '')) ? [`${file}:${index + 1}`] : [],
      ),
  )
}
