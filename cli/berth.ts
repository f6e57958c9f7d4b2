#!/usr/bin/env node
// The command `berth`. It loads the rest only once the Node that runs it is known to be able to, and keeps what is compiled of it
// for the next time, which takes two thirds of the time then.
import { keepCompiled } from './compile-cache.ts'

const neededMajor = 24

if (Number(process.versions.node.split('.')[0]) < neededMajor) {
  console.error(
    `berth needs Node ${neededMajor}, and this is ${process.versions.node}: in the checkout run ` +
      '"npm ci" and then "npx --no berth", which bring it along.',
  )
  process.exitCode = 7
} else {
  keepCompiled()
  const [{ run }, { processIo }] = await Promise.all([import('./run.ts'), import('./io.ts')])
  process.exitCode = await run(process.argv.slice(2), processIo())
}
