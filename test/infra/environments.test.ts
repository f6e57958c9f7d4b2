// npm, Python and uv are scripts here that note how they were called: what is proved is what is run, when,
// and what is said. That the real ones do their part is shown by every `npm test` on a fresh checkout.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { newFolder } from './new-folder.ts'

interface Options {
  dev?: boolean
  log: (line: string) => void
  root: string
  env: Record<string, string>
}
type Ensure = (options: Options) => Promise<string>

const infra = resolve(import.meta.dirname, '../../infra')
const { ensurePython } = (await import(join(infra, 'python-env.mjs'))) as { ensurePython: Ensure }
const { ensureS3Server } = (await import(join(infra, 's3-server-env.mjs'))) as { ensureS3Server: Ensure }
const { ensureKube } = (await import(join(infra, 'kube-env.mjs'))) as { ensureKube: Ensure }
const { ensureNode } = (await import(join(infra, 'node-env.mjs'))) as { ensureNode: Ensure }

const fakeUv = `#!/bin/sh
echo "uv $*" | sed "s#$ROOT/##g" >> "$ROOT/calls"
echo "index $UV_DEFAULT_INDEX" >> "$ROOT/uv-settings"
if [ -n "$FAIL_UV" ]; then echo "$FAIL_UV"; exit 2; fi
`

const fakePython = `#!/bin/sh
case "$*" in
  *version_info*)
    echo "\${VERSION:-3 12 4}"
    case "$*" in *ensurepip*) [ -z "$NO_VENV" ] || exit 1 ;; esac
    exit 0 ;;
  *sysconfig*) echo "$ROOT/.venv/lib"; exit 0 ;;
  *"config list"*) echo "global.index-url='https://mirror.example.com/simple'"; exit 0 ;;
esac
echo "python $*" | sed "s#$ROOT/##g" >> "$ROOT/calls"
case "$*" in
  "-m venv"*) mkdir -p "$3/bin" "$3/lib"; cp "$0" "$3/bin/python" ;;
  *"pip install"*) cp "$ROOT/bin/fake-uv" "$ROOT/.venv/bin/uv" ;;
  *samples*) echo rows > "$4/sp500-20.parquet" ;;
esac
`

const fakeNpm = `#!/bin/sh
echo "npm $*" >> "$ROOT/calls"
if [ -n "$FAIL_NPM" ]; then echo "$FAIL_NPM"; exit 1; fi
mkdir -p "$ROOT/node_modules/.bin"
printf '#!/bin/sh\\necho v24.21.0\\n' > "$ROOT/node_modules/.bin/node"
chmod +x "$ROOT/node_modules/.bin/node"
`

const programs = ['backtest', 'runner', 'training']
const locks = ['requirements-training', 'requirements-dev', 'requirements-samples', 'requirements-uv']

function newCheckout(pythons: string[] = ['python3.12']) {
  const root = newFolder()
  for (const folder of ['bin', ...programs.map((name) => `containers/${name}`)]) {
    mkdirSync(join(root, folder), { recursive: true })
  }
  for (const name of locks) writeFileSync(join(root, 'containers', `${name}.lock`), `${name}\n`)
  const program = (name: string, text: string) => {
    writeFileSync(join(root, 'bin', name), text)
    chmodSync(join(root, 'bin', name), 0o755)
  }
  for (const name of pythons) program(name, fakePython)
  program('fake-uv', fakeUv)
  program('npm', fakeNpm)
  for (const name of ['sed', 'mkdir', 'cp', 'chmod']) {
    program(name, `#!/bin/sh\nexec ${execFileSync('which', [name], { encoding: 'utf8' }).trim()} "$@"\n`)
  }
  const said: string[] = []
  const env = { PATH: join(root, 'bin'), ROOT: root }
  const run = (ensure: Ensure, more: { dev?: boolean; env?: Record<string, string> } = {}) => {
    rmSync(join(root, 'calls'), { force: true })
    return ensure({ root, log: (line) => said.push(line), ...more, env: { ...env, ...more.env } })
  }
  const calls = () =>
    existsSync(join(root, 'calls')) ? readFileSync(join(root, 'calls'), 'utf8').trim().split('\n') : []
  return { root, run, calls, said, at: (...path: string[]) => join(root, ...path) }
}

const venv = 'python -m venv .venv'
const installUv =
  'python -m pip install --require-hashes --no-input --disable-pip-version-check -r containers/requirements-uv.lock'
const sync = (name: string) =>
  `uv pip sync --python .venv/bin/python --require-hashes containers/${name}.lock`
const samples = [
  'uv pip install --python .venv/bin/python --no-deps --require-hashes --target .venv/samples.tmp -r containers/requirements-samples.lock',
  'python -m berth_backtest.samples .venv/samples.tmp containers/samples',
]
const warm = 'python -m berth_backtest.warm'

test('the images of backtests and trainings have the same versions of what both need', () => {
  const pins = (name: string) =>
    readFileSync(join(infra, '..', 'containers', `${name}.lock`), 'utf8').match(/^[\w-]+==[^\\]+/gm) ?? []
  const [backtest, training, tests] = ['requirements', 'requirements-training', 'requirements-dev'].map(pins)
  expect(backtest?.length).toBeGreaterThan(3)
  expect(training).toEqual(expect.arrayContaining(backtest ?? []))
  expect(tests).toEqual(expect.arrayContaining(training ?? []))
})

describe('the Python environment', () => {
  test('is made step by step, and not again', async () => {
    const { root, run, calls, said, at } = newCheckout()
    expect(await run(ensurePython)).toBe(at('.venv/bin/python'))
    expect(calls()).toEqual([venv, installUv, sync('requirements-training'), ...samples, warm])
    expect(said[0]).toBe('Python 3.12.4 found (python3.12).')
    expect(said.filter((line) => line.endsWith(' ...'))).toHaveLength(6)
    const path = readFileSync(at('.venv/lib/berth.pth'), 'utf8')
    expect(path).toBe(programs.map((name) => `${root}/containers/${name}\n`).join(''))
    expect(readFileSync(at('uv-settings'), 'utf8')).toContain('index https://mirror.example.com/simple')
    await run(ensurePython)
    expect(calls()).toEqual([])
  })

  test('with the tools of the tests serves both', async () => {
    const { run, calls } = newCheckout()
    await run(ensurePython)
    await run(ensurePython, { dev: true })
    expect(calls()).toEqual([installUv, sync('requirements-dev'), warm])
    await run(ensurePython)
    expect(calls()).toEqual([])
  })

  test('follows a changed lock file, a lost sample, and a lost or exchanged interpreter', async () => {
    const { run, calls, at } = newCheckout()
    await run(ensurePython)
    writeFileSync(at('containers/requirements-training.lock'), 'newer')
    await run(ensurePython)
    expect(calls()).toEqual([installUv, sync('requirements-training'), warm])
    rmSync(at('containers/samples/sp500-20.parquet'))
    await run(ensurePython)
    expect(calls()).toEqual([installUv, sync('requirements-training'), ...samples, warm])
    writeFileSync(at('.venv/bin/python'), '#!/bin/sh\nexit 127\n')
    await run(ensurePython)
    expect(calls()).toEqual([venv, installUv, sync('requirements-training'), warm])
    rmSync(at('.venv/bin/python'))
    await run(ensurePython)
    expect(calls()).toEqual([venv, installUv, sync('requirements-training'), warm])
  })

  test('that was left half-made is mended', async () => {
    const { run, calls, at } = newCheckout()
    await expect(run(ensurePython, { env: { FAIL_UV: 'Killed' } })).rejects.toThrow('Killed')
    expect(existsSync(at('.venv/berth-stamp.json'))).toBe(false)
    await run(ensurePython)
    expect(calls()).toEqual([installUv, sync('requirements-training'), ...samples, warm])
    writeFileSync(at('.venv/berth-stamp.json'), '{"python":')
    await run(ensurePython)
    expect(calls()).toEqual([installUv, sync('requirements-training'), ...samples, warm])
  })

  test.each([
    [
      'error: failed to lookup address information: Temporary failure',
      'cannot be reached. Check the network',
    ],
    ['error: invalid peer certificate: UnknownIssuer', 'SSL_CERT_FILE'],
    ['No space left on device', 'The disk is full'],
    ['something else', 'the lines above say why'],
  ])('says what to do about: %s', async (output, advice) => {
    const { run } = newCheckout()
    const failing = run(ensurePython, { env: { FAIL_UV: output } })
    await expect(failing).rejects.toThrow(`Installing the Python packages: failed (2).\n${output}\n`)
    await expect(failing).rejects.toThrow(advice)
  })

  test.each([
    [[], {}, 'No Python was found'],
    [['python3'], { VERSION: '3 9 2' }, 'python3 is Python 3.9.2'],
    [['python3', 'python'], { VERSION: '3 14 0' }, 'python3 is Python 3.14.0; python is Python 3.14.0'],
    [['python3.11'], { NO_VENV: '1' }, 'without the module ensurepip'],
  ])('needs a Python that fits: %j %j', async (pythons, env, message) => {
    const { run, calls } = newCheckout(pythons)
    const failing = run(ensurePython, { env })
    await expect(failing).rejects.toThrow('Berth needs Python 3.11 to 3.13')
    await expect(failing).rejects.toThrow(message)
    await expect(failing).rejects.toThrow('sudo apt install python3 python3-venv')
    expect(calls()).toEqual([])
  })
})

describe('two installations at once', () => {
  test('work one after the other', async () => {
    const { run, calls, said } = newCheckout()
    await Promise.all([run(ensurePython), run(ensurePython)])
    expect(calls().filter((call) => call === venv)).toHaveLength(1)
    expect(said).toContain('Waiting for another installation in this folder ...')
  })

  test('are not both stopped by one that was killed', async () => {
    const { root, run, calls } = newCheckout()
    const name = createHash('sha256').update(root).digest('hex').slice(0, 16)
    // Above the highest pid that Linux gives (proc(5), pid_max).
    writeFileSync(join(tmpdir(), `berth-install-${userInfo().uid}-${name}.lock`), '4194305')
    await run(ensurePython)
    expect(calls()[0]).toBe(venv)
  })
})

describe('the Node packages', () => {
  const npm = 'npm ci --no-audit --no-fund --loglevel=error'
  const lockOf = (version: string) => JSON.stringify({ packages: { '': {}, 'node_modules/a': { version } } })

  test('are installed by the lock file, again when it changed, and else not', async () => {
    const { run, calls, at } = newCheckout()
    writeFileSync(at('package-lock.json'), lockOf('1.0.0'))
    expect(await run(ensureNode)).toBe(at('node_modules/.bin/node'))
    expect(calls()).toEqual([npm])
    await run(ensureNode)
    expect(calls()).toEqual([])
    writeFileSync(at('package-lock.json'), lockOf('1.0.1'))
    await run(ensureNode)
    expect(calls()).toEqual([npm])
  })

  test('are left alone when they were installed by hand', async () => {
    const { run, calls, at } = newCheckout()
    writeFileSync(at('package-lock.json'), lockOf('1.0.0'))
    await run(ensureNode)
    rmSync(at('node_modules/.berth-stamp.json'))
    writeFileSync(at('node_modules/.package-lock.json'), lockOf('1.0.0'))
    await run(ensureNode)
    expect(calls()).toEqual([])
  })

  test('without a network say so, and the next run goes on', async () => {
    const { run, calls, at } = newCheckout()
    writeFileSync(at('package-lock.json'), lockOf('1.0.0'))
    const failing = run(ensureNode, { env: { FAIL_NPM: 'npm error code ENOTFOUND' } })
    await expect(failing).rejects.toThrow('The npm registry cannot be reached. Check the network')
    const lines = Array.from({ length: 200 }, (_, i) => `line ${i}`).join('\n')
    const long = run(ensureNode, { env: { FAIL_NPM: lines } })
    await expect(long).rejects.toThrow(/line 7\n\.\.\.\nline 180\n[^]*line 199\n\nRun the same command again/)
    await run(ensureNode)
    expect(calls()).toEqual([npm])
  })
})

describe('the S3 server of the tests', () => {
  const javaOf = (version: string) => `#!/bin/sh\necho 'openjdk version "${version}" 2025-04-15' >&2\n`
  const mvn = `#!/bin/sh
echo "mvn $*" >> "$ROOT/calls"
if [ -n "$FAIL_MVN" ]; then echo "$FAIL_MVN"; exit 1; fi
for each in "$@"; do case "$each" in -DoutputDirectory=*) to="\${each#*=}" ;; esac; done
echo other > "$to/s3proxy-4.1.0-jar-with-dependencies.jar"
`

  test.each([
    [{}, {}, 'Java is not installed'],
    [{ java: javaOf('11.0.2') }, {}, 'Java is 11, not 17 or newer'],
    [{ java: javaOf('21.0.1') }, {}, 'Maven (mvn) is not installed'],
    [
      { java: javaOf('17.0.15'), mvn },
      { FAIL_MVN: 'no network' },
      'Maven could not fetch it (1):\nno network',
    ],
    [{ java: javaOf('17.0.15'), mvn }, {}, 'what Maven fetched has the sha256'],
  ] as const)('is left out, and why is said: %#', async (programs, env, message) => {
    const { run, at } = newCheckout()
    for (const [name, text] of Object.entries(programs)) writeFileSync(at('bin', name), text, { mode: 0o755 })
    const failing = run(ensureS3Server, { env })
    await expect(failing).rejects.toThrow(`The tests of S3-compatible stores are skipped: ${message}`)
    const cache = at('node_modules/.cache/berth')
    expect(existsSync(cache) ? readdirSync(cache) : []).toEqual([])
  })

  test('that is there is not fetched again', async () => {
    const { run, at, calls } = newCheckout()
    writeFileSync(at('bin/java'), javaOf('17.0.15'), { mode: 0o755 })
    const jar = at('node_modules/.cache/berth/s3proxy-4.1.0.jar')
    mkdirSync(at('node_modules/.cache/berth'), { recursive: true })
    writeFileSync(jar, '')
    expect(await run(ensureS3Server)).toBe(jar)
    expect(calls()).toEqual([])
  })
})

describe('the Kubernetes API of the tests', () => {
  const goOf = (version: string) => `#!/bin/sh
echo "go $1 in \${PWD##*/}" >> "$ROOT/calls"
if [ "$1" = version ]; then echo "go version go${version} linux/amd64"; exit 0; fi
if [ -n "$FAIL_GO" ]; then echo "$FAIL_GO" >&2; exit 1; fi
while [ "$1" != -o ]; do shift; done
echo binary > "$2"
`
  const newKube = (go?: string) => {
    const checkout = newCheckout()
    mkdirSync(checkout.at('test/kube'), { recursive: true })
    const source = (text: string) => writeFileSync(checkout.at('test/kube/main.go'), text)
    source('package main')
    if (go !== undefined) writeFileSync(checkout.at('bin/go'), go, { mode: 0o755 })
    const BERTH_KUBE_CACHE = checkout.at('cache')
    return {
      ...checkout,
      source,
      ensure: (env = {}) => checkout.run(ensureKube, { env: { BERTH_KUBE_CACHE, ...env } }),
      kept: () => (existsSync(BERTH_KUBE_CACHE) ? readdirSync(BERTH_KUBE_CACHE) : []),
    }
  }

  test.each([
    [undefined, {}, 'Go is not installed'],
    [goOf('1.25.3'), {}, 'Go is go version go1.25.3 linux/amd64, not 1.26 or newer'],
    [goOf('1.26.0'), { FAIL_GO: 'no network' }, 'Go could not build it (1):\nno network'],
  ])('is left out, and why is said: %#', async (go, env, message) => {
    const { ensure, kept } = newKube(go)
    await expect(ensure(env)).rejects.toThrow(`The tests of Kubernetes are skipped: ${message}`)
    expect(kept()).toEqual([])
  })

  test('is built once for the same sources', async () => {
    const { ensure, kept, calls, source } = newKube(goOf('1.27.1'))
    const binary = await ensure()
    expect(readFileSync(binary, 'utf8')).toBe('binary\n')
    expect(calls().at(-1)).toBe('go build in kube')
    expect(await ensure()).toBe(binary)
    expect(calls()).toEqual([])
    source('package main // changed')
    expect(await ensure()).not.toBe(binary)
    expect(kept()).toHaveLength(2)
  })
})
