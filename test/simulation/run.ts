// `node test/simulation/run.ts --from N --seeds M [--root FOLDER]`: runs seeds, one JSON line each.
import { parseArgs } from 'node:util'
import { checkout, loadCode } from './code.ts'
import { openSimulationDatabase } from './database.ts'
import { runSeed } from './world.ts'

const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    root: { type: 'string', default: checkout },
  },
})
const code = await loadCode(values.root)
const pglite = await openSimulationDatabase()
const from = Number(values.from)
for (let seed = from; seed < from + Number(values.seeds); seed++) {
  const started_ms = performance.now()
  const report = await runSeed(code, pglite, seed)
  process.stdout.write(
    `${JSON.stringify({ ...report, took_ms: Math.round(performance.now() - started_ms) })}\n`,
  )
}
process.exit(0)
