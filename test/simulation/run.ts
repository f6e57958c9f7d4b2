// `node test/simulation/run.ts --from N --seeds M`: runs seeds of this checkout, one JSON line each;
// `--defects A,B`: instead runs copies of it with these defects (by their places in the list), each with its seed.
import { parseArgs } from 'node:util'
import { checkout, loadCode } from './code.ts'
import { openSimulationDatabase } from './database.ts'
import { copyWith, defects } from './defects.ts'
import { runSeed } from './world.ts'

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

async function runDefect(place: number): Promise<void> {
  const defect = defects[place]
  if (!defect) throw new Error(`there is no defect ${place}`)
  const { root, remove } = copyWith(defect)
  try {
    tell(await runSeed(await loadCode(root), database, defect.seed))
  } finally {
    remove()
  }
}

function tell(report: object): void {
  process.stdout.write(`${JSON.stringify(report)}\n`)
}
