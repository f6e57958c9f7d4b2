// Builds the console unless that is done: `npm run build:console`, the quickstart and the gate. Plain JavaScript for Node 20.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { checkout, exists, hashFiles, InstallError, readStamp } from './install.mjs'
import { runStep, withInstallLock, writeStamp } from './install.mjs'
import { ensureNode } from './node-env.mjs'

/** What of other rooms the console is made of: types are not in what is built. */
const besides = [
  'package-lock.json',
  'jobs/state.ts',
  'infra/alibaba/ram-policy.json',
  'infra/aws/policy.json',
  'infra/kubernetes/rbac.yaml',
  'infra/tencent/cam-policy.json',
]

/**
 * @param {{ log?: (line: string) => void, root?: string, env?: NodeJS.ProcessEnv, node?: string }} [options]
 * @throws InstallError
 */
export async function ensureConsole({ log = console.log, root = checkout, env = process.env, node } = {}) {
  if (isConsoleMade(root)) return
  const runtime = node ?? (await ensureNode({ log, root, env }))
  await withInstallLock({ root: `${root}/console`, log }, async () => {
    if (isConsoleMade(root)) return
    const sources = hashOf(root)
    await runStep({
      title: 'Building the console',
      command: runtime,
      args: [
        join(root, 'node_modules', 'vite', 'bin', 'vite.js'),
        'build',
        '--config',
        'console/vite.config.ts',
      ],
      cwd: root,
      env: { ...env, NODE_ENV: 'production' },
      log,
      source: 'The npm registry',
    })
    writeStamp(stampOf(root), { sources })
  })
}

/** Whether ensureConsole() would find everything done. */
export function isConsoleMade(root = checkout) {
  return (
    exists(join(root, 'console', 'dist', 'index.html')) && readStamp(stampOf(root)).sources === hashOf(root)
  )
}

// Not among what is served.
const stampOf = (root) => join(root, 'node_modules', '.berth-console.json')

function hashOf(root) {
  const folder = join(root, 'console')
  const sources = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.startsWith(join(folder, 'dist')))
    .toSorted()
  return hashFiles([...sources, ...besides.map((path) => join(root, path))])
}

if (process.argv[1] === import.meta.filename) {
  try {
    await ensureConsole()
    console.log('The console is built: console/dist')
  } catch (error) {
    if (!(error instanceof InstallError)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}
