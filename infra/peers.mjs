// `npm run test:peers [-- PYTEST_ARGUMENT ...]`: the backtest beside other libraries, in an environment of their own: their
// licences are not the project's, and nothing of it imports them. Plain JavaScript for Node 20, without dependencies.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkout, exists, hashFiles, InstallError, readStamp, runStep, writeStamp } from './install.mjs'
import { withInstallLock } from './install.mjs'
import { ensurePython, settingsOfPip } from './python-env.mjs'

/**
 * Makes the environment unless it is there.
 * @param {{ python: string, log?: (line: string) => void, root?: string, env?: NodeJS.ProcessEnv }} options
 *   python: that of the project's own environment, whose uv installs
 * @returns {Promise<string>} the path of its Python
 * @throws InstallError
 */
export async function ensurePeers({ python, log = console.log, root = checkout, env = process.env }) {
  const lock = join(root, 'containers', 'requirements-peers.lock')
  const venv = join(root, '.venv-peers')
  const [found, stamp] = [join(venv, 'bin', 'python'), join(venv, 'berth-stamp.json')]
  const wanted = { packages: hashFiles([lock]) }
  const isMade = () => exists(found) && readStamp(stamp).packages === wanted.packages
  if (isMade()) return found
  await withInstallLock({ root, log }, async () => {
    if (isMade()) return
    rmSync(stamp, { force: true })
    const pipSettings = await settingsOfPip({ python, root }, env)
    const uv = join(python, '..', 'uv')
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
    if (!exists(found)) await step('Making the environment of the peers', python, ['-m', 'venv', venv])
    const sync = ['pip', 'sync', '--python', found, '--require-hashes', lock]
    await step('Installing the peers (once, about 1 GB)', uv, sync)
    writeStamp(stamp, wanted)
  })
  return found
}

/** @returns its exit code */
function test(python, rest) {
  const containers = join(checkout, 'containers')
  // Warnings are errors for our own code alone. -P: the folder of the tests' coverage is no package of that name.
  const pytest = ['-P', '-m', 'pytest', '-c', join(containers, 'pyproject.toml'), '-W', 'ignore', '-q', '-rs']
  const path = [join(containers, 'backtest'), containers].join(':')
  const folder = rest.some((word) => word.includes('peers/')) ? [] : [join(containers, 'peers')]
  return spawnSync(python, [...pytest, ...folder, ...rest], {
    cwd: checkout,
    env: { ...process.env, PYTHONPATH: path },
    stdio: 'inherit',
  }).status
}

if (process.argv[1]?.endsWith('peers.mjs')) {
  try {
    const python = await ensurePeers({ python: await ensurePython() })
    process.exitCode = test(python, process.argv.slice(2)) ?? 1
  } catch (error) {
    if (!(error instanceof InstallError)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}
