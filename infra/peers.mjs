// `npm run test:peers [-- PYTEST_ARGUMENT ...]`: the backtest beside other libraries, in an environment of their own: their
// licences are not the project's, and nothing of it imports them. Plain JavaScript for Node 20, without dependencies.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { checkout, InstallError } from './install.mjs'
import { ensureLocked } from './locked-env.mjs'

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
    const python = await ensureLocked({ venv: '.venv-peers', lock: 'requirements-peers', about: '1 GB' })
    process.exitCode = test(python, process.argv.slice(2)) ?? 1
  } catch (error) {
    if (!(error instanceof InstallError)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}
