// `node test/simulation/run.ts --from N --seeds M`: runs seeds of this checkout, one JSON line each;
// `--defects A,B`: instead runs copies of it with these defects (by their places in the list), each with its seed and,
// if that does not find it, with others.
import { parseArgs } from 'node:util'
import { checkout, loadCode } from './code.ts'
import { openSimulationDatabase } from './database.ts'
import { copyWith } from './copy.ts'
import { defects } from './defects.ts'
import { runSeed } from './world.ts'

/** A change of the code moves all histories: then a defect may be found by another seed than the recorded one. */
const triedSeeds = 60

const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    defects: { type: 'string' },
  },
})
const database = await openSimulationDatabase()
if (values.defects === undefined) await runSeeds(Number(values.from), Number(values.seeds))
else for (const place of values.defects.split(',')) await runDefect(Number(place))
process.exit(0)

async function runSeeds(from: number, seeds: number): Promise<void> {
  const code = await loadCode(checkout)
  for (let seed = from; seed < from + seeds; seed++) tell(await runSeed(code, database, seed))
}

/** Tells of the first seed that finds it, or of the last that was tried. */
async function runDefect(place: number): Promise<void> {
  const defect = defects[place]
  if (!defect) throw new Error(`there is no defect ${place}`)
  const { root, remove } = copyWith(defect)
  try {
    const code = await loadCode(root)
    const others = Array.from({ length: triedSeeds }, (_, index) => index + 1)
    for (const seed of [defect.seed, ...others]) {
      const report = await runSeed(code, database, seed)
      const isFound = defect.by.test(report.violations.join('\n'))
      if (isFound || seed === triedSeeds) return tell(report)
    }
  } finally {
    remove()
  }
}

function tell(report: object): void {
  process.stdout.write(`${JSON.stringify(report)}\n`)
}
