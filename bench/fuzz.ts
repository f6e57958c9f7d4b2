// `npm run bench -- fuzz [--examples 200] [--seeds 5] [--seed 2]`: so many requests for each operation by schemathesis, asked by an admin
// key, and by our own mutators from so many other seeds than the tests run; what those refuse is looked for changes in every table.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { openDesk } from '../test/support/desk.ts'
import { noSchemathesis, runSchemathesis } from '../test/support/schemathesis.ts'
import { type Measurement, option, rounded } from './measurement.ts'

const root = join(import.meta.dirname, '..')

export const measure: Measurement = async (options) => {
  const examples = option(options, 'examples', 200)
  const seeds = option(options, 'seeds', 5)
  const seed = option(options, 'seed', 2)
  if (noSchemathesis !== null) throw new Error(noSchemathesis)
  await using desk = await openDesk()
  const { url, key } = desk.server()
  const from_ms = performance.now()
  const { output, ...fuzzed } = await runSchemathesis(url, key, { examples, seed })
  const schemathesis_s = rounded((performance.now() - from_ms) / 1_000)
  if (fuzzed.code !== 0) console.log(output)
  let failedSeeds = 0
  for (let n = 0; n < seeds; n++) if ((await ownMutators(`fuzz ${seed} ${n}`)) !== 0) failedSeeds++
  const figures = {
    examples,
    requests: fuzzed.requests,
    schemathesis_s,
    failed: fuzzed.failed,
    exit_code: fuzzed.code ?? -1,
    seeds,
    failed_seeds: failedSeeds,
  }
  return {
    figures,
    targets: { failed: { at_most: 0 }, exit_code: { at_most: 0 }, failed_seeds: { at_most: 0 } },
  }
}

async function ownMutators(seed: string): Promise<number | null> {
  const args = ['run', 'test/functions/hostile.test.ts', '--reporter=dot']
  const env = { ...process.env, BERTH_FUZZ_SEED: seed }
  const child = spawn(join(root, 'node_modules/.bin/vitest'), args, { cwd: root, env, stdio: 'inherit' })
  return new Promise((done) => child.on('close', done))
}
