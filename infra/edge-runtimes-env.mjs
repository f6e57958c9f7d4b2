// The real runtimes for the tests of the edge function: workerd, Deno and Bun, which npm brings as binaries. Plain JavaScript
// for Node 20, without dependencies.
import { copyFileSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkout, exists, hashFiles, InstallError, runQuietly } from './install.mjs'

/** 90 MB at 6 Mbit/s; the other tests do not wait longer for it. */
const installMs = 150_000
const askMs = 30_000
const listed = ['package.json', 'package-lock.json']
/** By npm's names of this machine; each package holds one for each platform. */
const platform = `${process.platform}-${process.arch}`
const binaries = {
  workerd: {
    'linux-x64': '@cloudflare/workerd-linux-64/bin/workerd',
    'linux-arm64': '@cloudflare/workerd-linux-arm64/bin/workerd',
    'darwin-x64': '@cloudflare/workerd-darwin-64/bin/workerd',
    'darwin-arm64': '@cloudflare/workerd-darwin-arm64/bin/workerd',
  },
  deno: {
    'linux-x64': '@deno/linux-x64-glibc/deno',
    'linux-arm64': '@deno/linux-arm64-glibc/deno',
    'darwin-x64': '@deno/darwin-x64/deno',
    'darwin-arm64': '@deno/darwin-arm64/deno',
  },
  bun: {
    'linux-x64': '@oven/bun-linux-x64/bin/bun',
    'linux-arm64': '@oven/bun-linux-aarch64/bin/bun',
    'darwin-x64': '@oven/bun-darwin-x64/bin/bun',
    'darwin-arm64': '@oven/bun-darwin-aarch64/bin/bun',
  },
}

/** Where the binary of a runtime lies, once `ensureEdgeRuntimes` has brought it. */
export function edgeRuntime(name, root = checkout) {
  return join(folderOf(root), 'node_modules', binaries[name][platform] ?? 'none')
}

/** Another folder for other versions: a stale binary is never used. */
function folderOf(root) {
  const hash = hashFiles(listed.map((name) => join(root, 'test', 'edge', 'runtimes', name)))
  return join(root, 'node_modules', '.cache', 'berth', `edge-runtimes-${hash.slice(0, 16)}`)
}

/**
 * Installs what is locked unless it is there.
 * @param {{ log?: (line: string) => void, root?: string, env?: NodeJS.ProcessEnv }} [options]
 * @throws InstallError: what is missing, and that the tests of the runtimes are skipped
 */
export async function ensureEdgeRuntimes({ log = console.log, root = checkout, env = process.env } = {}) {
  const folder = folderOf(root)
  if (!exists(folder)) {
    log('Installing the runtimes of the edge function for the tests (workerd, Deno, Bun) ...')
    const made = `${folder}.${process.pid}`
    mkdirSync(made, { recursive: true })
    try {
      for (const name of listed) copyFileSync(join(root, 'test', 'edge', 'runtimes', name), join(made, name))
      // No scripts: the binaries are in packages of their own, and are run where they lie.
      const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
      const { code, output } = await runQuietly('npm', args, { cwd: made, env, timeout_ms: installMs })
      if (code !== 0) throw skipped(`npm could not install them (${code}):\n${output.trim().slice(-2_000)}`)
      renameSync(made, folder)
    } finally {
      rmSync(made, { recursive: true, force: true })
    }
  }
  for (const name of Object.keys(binaries)) {
    const { code, output } = await runQuietly(edgeRuntime(name, root), ['--version'], {
      cwd: root,
      env,
      timeout_ms: askMs,
    })
    if (code !== 0) throw skipped(`${name} does not run here (${code}): ${output.trim().slice(-500)}`)
  }
}

function skipped(why) {
  return new InstallError(`The tests of the edge function on workerd, Deno and Bun are skipped: ${why}`)
}

// By hand: installs them, or says why it cannot.
if (process.argv[1]?.endsWith('edge-runtimes-env.mjs')) {
  ensureEdgeRuntimes().catch((error) => {
    if (!(error instanceof InstallError)) throw error
    console.error(error.message)
    process.exitCode = 1
  })
}
