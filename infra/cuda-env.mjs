// A compiler of GPU kernels for `npm run bench -- ptx`: numba-cuda with NVIDIA's libNVVM, no GPU and no driver. Plain
// JavaScript for Node 20, without dependencies.
import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkout, exists, hashFiles, InstallError, runQuietly } from './install.mjs'

/** 60 MB beside what the environment of the programs has already, at 3 Mbit/s. */
const installMs = 180_000
const askMs = 60_000

/** Where its Python lies, once `ensureCuda` has made it; another folder for other versions. */
function folderOf(root) {
  const hash = hashFiles([join(root, 'containers', 'requirements-ptx.lock')])
  return join(root, 'node_modules', '.cache', 'berth', `cuda-${hash.slice(0, 16)}`)
}

/**
 * Makes the environment unless it is there, beside .venv: numba-cuda takes the place of Numba's own target.
 * @param {{ log?: (line: string) => void, root?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<string>} the path of its Python
 * @throws InstallError: what is missing
 */
export async function ensureCuda({ log = console.log, root = checkout, env = process.env } = {}) {
  const folder = folderOf(root)
  const python = join(folder, 'bin', 'python')
  if (exists(python)) return python
  const venv = (name) => join(root, '.venv', 'bin', name)
  if (!exists(venv('uv'))) throw skipped('there is no .venv yet: npm run quickstart makes it')
  log('Installing a compiler of GPU kernels (numba-cuda, libNVVM) ...')
  const made = `${folder}.${process.pid}`
  mkdirSync(made, { recursive: true })
  const run = async (args, timeout_ms) => {
    const { code, output } = await runQuietly(venv('uv'), args, { cwd: root, env, timeout_ms })
    if (code !== 0) throw skipped(`uv could not install it (${code}):\n${output.trim().slice(-2_000)}`)
  }
  try {
    // Relocatable: its place is another one while it is made.
    await run(['venv', '--quiet', '--clear', '--relocatable', '--python', venv('python'), made], askMs)
    const lock = join(root, 'containers', 'requirements-ptx.lock')
    const sync = ['pip', 'sync', '--quiet', '--python', join(made, 'bin', 'python'), '--require-hashes', lock]
    await run(sync, installMs)
    renameSync(made, folder)
    return python
  } finally {
    rmSync(made, { recursive: true, force: true })
  }
}

function skipped(why) {
  return new InstallError(`GPU kernels are not compiled: ${why}`)
}
