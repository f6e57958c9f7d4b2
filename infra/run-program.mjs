// Runs a program of containers/ by hand, in the project's Python environment:
//   node infra/run-program.mjs MODULE [ARGUMENT ...]
// Plain JavaScript for Node 20, without dependencies.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { InstallError } from './install.mjs'
import { ensurePython } from './python-env.mjs'

const [module, ...rest] = process.argv.slice(2)

if (module === undefined) {
  console.error('usage: node infra/run-program.mjs MODULE [ARGUMENT ...]')
  process.exit(2)
}

try {
  // Standard output is the program's. -P: a folder here that is named like a package is none.
  const python = await ensurePython({ log: console.error })
  process.exitCode = await run(python, ['-P', '-m', module, ...rest])
} catch (error) {
  if (!(error instanceof InstallError)) throw error
  console.error(error.message)
  process.exitCode = 1
}

/** @returns {Promise<number>} its exit code, or 128 and the signal that ended it, as shells say */
function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: startFolder(), stdio: 'inherit' })
    // A terminal sends Ctrl-C to the program too. It ends by itself, with its checkpoint: not before it.
    process.on('SIGINT', () => {})
    process.on('SIGTERM', () => child.kill('SIGTERM'))
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(code ?? 128 + constants.signals[signal]))
  })
}

/** `npm run` goes to the checkout's folder: the paths on its command line are those of where it was typed. */
function startFolder() {
  const byNpm = process.env.npm_lifecycle_script?.includes('run-program.mjs')
  return byNpm && process.env.INIT_CWD ? process.env.INIT_CWD : process.cwd()
}
