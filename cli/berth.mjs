#!/usr/bin/env node
// Starts berth.ts under any Node from 20 on: an older one than berth needs cannot even load a .ts file.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const neededMajor = 24
const pathOf = (name) => fileURLToPath(new URL(name, import.meta.url))
const brought = pathOf('../node_modules/.bin/node')

if (Number(process.versions.node.split('.')[0]) >= neededMajor) {
  await import('./berth.ts')
} else if (existsSync(brought)) {
  const child = spawn(brought, [pathOf('berth.ts'), ...process.argv.slice(2)], { stdio: 'inherit' })
  // A terminal sends Ctrl-C to both; berth ends by it in its own way, and this waits for that.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.on('close', (code, signal) => (process.exitCode = code ?? 128 + constants.signals[signal]))
} else {
  console.error(
    `berth needs Node ${neededMajor}, and this is ${process.versions.node}: run "npm ci" in the checkout, ` +
      'which brings it along, and then the same command again.',
  )
  process.exitCode = 7
}
