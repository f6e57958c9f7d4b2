// `npm run bench -- NAME [options]`: one measurement. Ends with one JSON line; exits 1 when a target is missed.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Measurement } from './measurement.ts'

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && !['bench.ts', 'measurement.ts'].includes(file))
  .map((file) => file.slice(0, -3))

const [name = '', ...options] = process.argv.slice(2)
const file = join(import.meta.dirname, `${name}.ts`)
if (!names.includes(name) || !existsSync(file)) {
  console.error(`bench: name one of ${names.join(', ')}`)
  process.exit(2)
}
const { measure } = (await import(file)) as { measure: Measurement }
const { figures, targets } = await measure(options)
const ok = Object.entries(targets).every(([figure, bound]) => {
  const value = figures[figure]
  return (
    typeof value === 'number' &&
    (bound.at_most === undefined || value <= bound.at_most) &&
    (bound.at_least === undefined || value >= bound.at_least)
  )
})
console.log(JSON.stringify({ bench: name, figures, targets, ok }))
process.exit(ok ? 0 : 1)
