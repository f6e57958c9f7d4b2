// A Python environment of its own beside that of the checkout: exactly the packages of one lock file, no more. Plain JavaScript
// for Node 20, without dependencies.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkout, exists, hashFiles, readStamp, runStep, withInstallLock, writeStamp } from './install.mjs'
import { ensurePython, settingsOfPip } from './python-env.mjs'

/**
 * Makes the environment unless it is there, with the uv of the project's own.
 * @param {{ venv: string, lock: string, about: string, log?: (line: string) => void, root?: string, env?: NodeJS.ProcessEnv }} options
 *   venv: its folder in the checkout; lock: the name of its file in containers/; about: what the packages weigh
 * @returns {Promise<string>} the path of its Python
 * @throws InstallError
 */
export async function ensureLocked({
  venv,
  lock,
  about,
  log = console.log,
  root = checkout,
  env = process.env,
}) {
  const file = join(root, 'containers', `${lock}.lock`)
  const found = join(root, venv, 'bin', 'python')
  const stamp = join(root, venv, 'berth-stamp.json')
  const wanted = { packages: hashFiles([file]) }
  const isMade = () => exists(found) && readStamp(stamp).packages === wanted.packages
  if (isMade()) return found
  const python = await ensurePython({ log, root, env })
  await withInstallLock({ root, log }, async () => {
    if (isMade()) return
    rmSync(stamp, { force: true })
    const pipSettings = await settingsOfPip({ python, root }, env)
    const step = (title, command, args) =>
      runStep({
        title,
        command,
        args,
        cwd: root,
        env: { ...pipSettings, ...env, UV_PYTHON_DOWNLOADS: 'never' },
        log,
        source: 'The Python package index',
      })
    if (!exists(found)) await step(`Making the environment ${venv}`, python, ['-m', 'venv', join(root, venv)])
    const sync = ['pip', 'sync', '--python', found, '--require-hashes', '--compile-bytecode', file]
    await step(`Installing the packages of ${venv} (once, about ${about})`, join(python, '..', 'uv'), sync)
    writeStamp(stamp, wanted)
  })
  return found
}
