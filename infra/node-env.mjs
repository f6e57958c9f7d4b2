// Node's packages, Node 24 among them. Plain JavaScript for Node 20, without dependencies.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkout, exists, hashFiles, InstallError, readIfThere, readStamp } from './install.mjs'
import { runQuietly, runStep, withInstallLock, writeStamp } from './install.mjs'

/** The language level of this repository: TypeScript that Node runs by stripping its types. */
const neededMajor = 24

/**
 * Installs the locked packages unless they are there.
 * @param {{ log?: (line: string) => void, root?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<string>} the path of Node 24's binary
 * @throws InstallError
 */
export async function ensureNode({ log = console.log, root = checkout, env = process.env } = {}) {
  if (!isInstalled(root)) {
    await withInstallLock({ root, log }, async () => {
      if (!isInstalled(root)) await install({ log, root, env })
    })
  }
  return await findNode(root)
}

async function install({ log, root, env }) {
  // Without the stamp an installation that is interrupted here is made anew.
  rmSync(stampOf(root), { force: true })
  await runStep({
    title: 'Installing the Node packages',
    command: 'npm',
    // npm ci takes the locked versions whatever Node runs it; npm install would take older ones on Node 20.
    args: ['ci', '--no-audit', '--no-fund', '--loglevel=error'],
    cwd: root,
    env,
    log,
    source: 'The npm registry',
  })
  writeStamp(stampOf(root), { lock: hashOf(root) })
}

function isInstalled(root) {
  if (!exists(join(root, 'node_modules', '.bin', 'node'))) return false
  if (readStamp(stampOf(root)).lock === hashOf(root)) return true
  if (!isLocked(root)) return false
  writeStamp(stampOf(root), { lock: hashOf(root) })
  return true
}

/** Whether someone has run `npm ci` by hand: npm notes there what it has installed. */
function isLocked(root) {
  const wanted = packagesOf(join(root, 'package-lock.json'))
  const found = packagesOf(join(root, 'node_modules', '.package-lock.json'))
  return Object.entries(wanted).every(
    // Optional ones are those of other platforms.
    ([path, { version, optional }]) => path === '' || optional || found[path]?.version === version,
  )
}

function packagesOf(path) {
  return JSON.parse(readIfThere(path) ?? '{}').packages ?? {}
}

async function findNode(root) {
  const brought = join(root, 'node_modules', '.bin', 'node')
  for (const path of [brought, process.execPath]) {
    const { code, output } = await runQuietly(path, ['--version'], { cwd: root, timeout_ms: 30_000 })
    if (code === 0 && Number(/^v(\d+)\./.exec(output.trim())?.[1]) >= neededMajor) return path
  }
  throw new InstallError(
    `Node ${neededMajor} does not run here, and this is Node ${process.versions.node}. The package "node" ` +
      `brings it for common platforms; on others install Node ${neededMajor} (https://nodejs.org) and run ` +
      'the same command with it.',
  )
}

function stampOf(root) {
  return join(root, 'node_modules', '.berth-stamp.json')
}

function hashOf(root) {
  return hashFiles([join(root, 'package-lock.json')])
}
