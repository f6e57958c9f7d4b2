// Bad values for requests, from a seed alone.
import { createHash } from 'node:crypto'

export type Draw = (below: number) => number

/** Numbers from 0 up to `below`, exclusive, that depend on the seed alone. */
export function drawOf(seed: string): Draw {
  let counter = 0
  return (below) => {
    const digest = createHash('sha256').update(`${seed}/${counter++}`).digest()
    return digest.readUIntBE(0, 6) % below
  }
}

const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`
const nestedObjects = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`

/** As JSON text, because some of them no value can be. */
const bad: readonly string[] = [
  'null',
  'true',
  '-0',
  '1e400',
  '-1e400',
  '1e-400',
  '9007199254740993',
  '1.5',
  '-1',
  '""',
  '"\\u0000"',
  '"a\\u0000b"',
  '"\\ud800"',
  '"\\udfff x"',
  '"\\u202e\\u0007"',
  '"constructor"',
  '"../../etc/passwd"',
  '"%00"',
  '"\'; drop table jobs; --"',
  `"${'x'.repeat(70_000)}"`,
  `"${'é'.repeat(400)}"`,
  '[]',
  '{}',
  `[${'0,'.repeat(2_000)}0]`,
  nested(100),
  nested(10_000),
  nestedObjects(40),
  nestedObjects(10_000),
  '{"__proto__":{"a":1}}',
  '{"constructor":{"prototype":{"a":1}}}',
  '{"a":1,"a":2}',
  '{"toString":1,"hasOwnProperty":2}',
]

/** Where in a value something can be put in the place of something. */
function places(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (value === null || typeof value !== 'object') return [path]
  return [path, ...Object.entries(value).flatMap(([name, each]) => places(each, [...path, name]))]
}

const hole = '"a hole for a bad value"'

/** A body with one thing wrong: another value somewhere, or a field too much. */
export function badBody(draw: Draw, body: unknown): string {
  const value = JSON.parse(JSON.stringify(body ?? {})) as unknown
  const told = bad[draw(bad.length)] ?? 'null'
  const all = places(value)
  const path = all[draw(all.length)] ?? []
  if (path.length === 0)
    return draw(3) === 0 || typeof value !== 'object' || value === null
      ? told
      : JSON.stringify({ ...value, [oddNames[draw(oddNames.length)] ?? 'x']: 0 }).replace(':0}', `:${told}}`)
  let at = value as Record<string, unknown>
  for (const step of path.slice(0, -1)) at = at[step] as Record<string, unknown>
  at[path.at(-1) ?? ''] = JSON.parse(hole)
  return JSON.stringify(value).replace(hole, () => told)
}

const oddNames = ['__proto__', 'constructor', 'x', 'a\0', '\ud800', 'n'.repeat(3_000), '', 'id', 'project_id']

/** Text that is no JSON, or not as it says. */
export const brokenTexts: readonly string[] = [
  '',
  '{',
  '[1,]',
  '{"a":NaN}',
  '\uFEFF{}',
  '{"a":1}{"a":2}',
  "{'a':1}",
  'undefined',
  '"',
  '0x10',
]

/** A piece of a path or a value of a query, encoded or not. */
export const oddTexts: readonly string[] = [
  '%00',
  '%',
  '%zz',
  '%c0%ae%c0%ae',
  '%ed%a0%80',
  '..%2f..%2fetc',
  '.',
  '%2e%2e',
  '%20',
  '*',
  'null',
  'NaN',
  '-1',
  '1e400',
  '99999999999999999999',
  '-0',
  '0x10',
  '%F0%9F%92%A9',
  'job_00000000000000000000000000',
  'job_zzzzzzzzzzzzzzzzzzzzzzzzzz',
  'a'.repeat(300),
  'a'.repeat(5_000),
  'constructor',
  '__proto__',
  "'%20or%201=1",
  '0-0-0',
  '9-9-9',
  '99999999-99999999999999999999-9',
  '0.1:2',
  '9999999999.9999999999:99999999999',
  'eyJhIjoxfQ',
  '2026-13-45T99:99:99Z',
  '0000-01-01T00:00:00Z',
  '9999-12-31T23:59:59%2B14:00',
]

export const oddHeaders: readonly [string, string][] = [
  ['if-none-match', '*'],
  ['if-none-match', '"'.repeat(2_000)],
  ['range', 'bytes=0-999999999999999999999'],
  ['range', 'bytes=-'],
  ['range', 'lines=1-2, bytes=a-b'],
  ['content-type', 'application/json; charset=utf-16'],
  ['content-type', 'application/vnd.x+json'],
  ['content-type', 'multipart/form-data'],
  ['content-type', 'x'.repeat(500)],
  ['content-type', 'text/plain'],
  ['accept', 'image/png;q=0.1, */*;q=0'],
  ['accept', 'text/event-stream'],
  ['idempotency-key', ''],
  ['idempotency-key', 'k'.repeat(256)],
  ['idempotency-key', 'é'],
  ['idempotency-key', '\u0001'],
  ['last-event-id', 'x'],
  ['last-event-id', '-1'],
  ['last-event-id', '99999999999999999999'],
  ['last-event-id', '0-0-0'],
  ['last-event-id', '9'.repeat(3_000)],
  ['content-length', '5'],
  ['content-encoding', 'gzip'],
  ['expect', '200-ok'],
  ['x-http-method-override', 'DELETE'],
  ['transfer-encoding', 'chunked'],
]
