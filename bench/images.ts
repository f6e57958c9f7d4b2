// `npm run bench -- images`: builds the images by the command that users have, and runs a backtest and a training in them, each in a container of
// its own. Where registries of images cannot be reached, the base is a root that debootstrap makes here (Debian, podman, as root).
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { readBases } from '../infra/images.ts'
import type { JobView } from '../jobs/view.ts'
import { type Desk, openDesk, realBacktest } from '../test/support/desk.ts'
import { type ContainerEngine, noPodman, openEngine } from '../test/support/podman.ts'
import type { Measurement } from './measurement.ts'
import { checkout } from './support/drill.ts'

const prefix = 'berth.test'
const tag = '1'
/** Everything is compiled or fetched once. */
const build_ms = 1_800_000
const names = ['server', 'local', 'runner', 'backtest', 'training']
/** What trusts this machine's certificates, a proxy's own among them. */
const certificates = '/etc/ssl/certs/ca-certificates.crt'
const trusting = ['NODE_EXTRA_CA_CERTS', 'PIP_CERT', 'SSL_CERT_FILE']

export const measure: Measurement = async () => {
  if (noPodman !== null) throw new Error(noPodman)
  const engine = await openEngine()
  const folder = mkdtempSync(join(tmpdir(), 'berth-images-'))
  try {
    const command = engineCommand(folder, engine)
    const bases = reachable(command)
      ? {}
      : { NODE_IMAGE: madeHere(folder, command), PYTHON_IMAGE: `${prefix}/base:1` }
    const began = performance.now()
    const build = [
      'infra/images.ts',
      'build',
      ...names,
      '--engine',
      command,
      '--prefix',
      prefix,
      '--tag',
      tag,
    ]
    const env = { ...process.env, ...bases }
    execFileSync(process.execPath, build, { cwd: checkout, env, stdio: 'inherit', timeout: build_ms })
    const build_s = Math.round((performance.now() - began) / 1_000)
    const mib = (image: string) =>
      Math.round(Number(podman(command, 'image', 'inspect', '--format', '{{.Size}}', image)) / 1024 ** 2)
    const base_mib = mib(
      bases.NODE_IMAGE ??
        readBases(readFileSync(join(checkout, 'infra/images.env'), 'utf8')).get('PYTHON_IMAGE') ??
        '',
    )
    const sizes = names.map((name) => [`${name}_adds_mib`, mib(`${prefix}/${name}:${tag}`) - base_mib])
    return {
      figures: {
        base: bases.NODE_IMAGE ? 'debootstrap (no registry of images in reach)' : 'infra/images.env',
        build_s,
        base_mib,
        ...Object.fromEntries(sizes),
        ...(await jobsIn(engine)),
      },
      targets: { backtests_succeeded: { at_least: 1 }, trainings_succeeded: { at_least: 1 } },
    }
  } finally {
    await engine.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** podman as this machine can build with it: without namespaces of its own, on the machine's network. */
function engineCommand(folder: string, { store, environment }: ContainerEngine): string {
  const command = join(folder, 'podman')
  const set = Object.entries(environment).map(([name, value]) => `export ${name}='${value}'\n`)
  const call = `exec podman ${store.map((each) => `'${each}'`).join(' ')}`
  writeFileSync(
    command,
    `#!/bin/sh\n${set.join('')}case $1 in build) shift; ${call} build --isolation chroot --network host "$@" ;; esac\n${call} "$@"\n`,
  )
  chmodSync(command, 0o755)
  return command
}

const podman = (command: string, ...args: string[]) =>
  execFileSync(command, args, { encoding: 'utf8' }).trim()

function reachable(command: string): boolean {
  const images = [...readBases(readFileSync(join(checkout, 'infra', 'images.env'), 'utf8'))]
  return images
    .filter(([name]) => ['NODE_IMAGE', 'PYTHON_IMAGE'].includes(name))
    .every(([, image]) => spawnSync(command, ['pull', '--quiet', image], { timeout: build_ms }).status === 0)
}

/** Debian with Python, Node as it runs here, and npm. */
function madeHere(folder: string, command: string): string {
  const root = join(folder, 'root')
  const packages = 'python3,python3-venv,ca-certificates,tzdata'
  execFileSync('debootstrap', ['--variant=minbase', `--include=${packages}`, 'bookworm', root], {
    stdio: 'inherit',
    timeout: build_ms,
  })
  copyFileSync(process.execPath, join(root, 'usr/local/bin/node'))
  const npm = dirname(
    dirname(execFileSync('sh', ['-c', 'readlink -f "$(command -v npm)"'], { encoding: 'utf8' }).trim()),
  )
  mkdirSync(join(root, 'usr/local/lib/node_modules'), { recursive: true })
  cpSync(npm, join(root, 'usr/local/lib/node_modules/npm'), { recursive: true })
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'))
  copyFileSync(certificates, join(root, certificates))
  const archive = join(folder, 'root.tar')
  execFileSync('tar', ['-C', root, '-cf', archive, '.'], { timeout: build_ms })
  const changes = trusting.flatMap((name) => ['--change', `ENV ${name}=${certificates}`])
  podman(command, 'import', '--quiet', ...changes, archive, `${prefix}/base:1`)
  rmSync(archive)
  return `${prefix}/base:1`
}

async function jobsIn(engine: ContainerEngine) {
  await using desk = await openDesk({
    BERTH_LOCAL_PROVIDER: 'false',
    BERTH_IMAGE_BACKTEST: `${prefix}/backtest:${tag}`,
    BERTH_IMAGE_TRAINING: `${prefix}/training:${tag}`,
  })
  const settings = { socket: engine.socket, network: 'host' }
  const account = { provider: 'containers', account: 'engine', settings }
  await desk.request('/v1/provider-accounts', { method: 'POST', body: JSON.stringify(account) })
  const backtest = await ended(desk, realBacktest())
  const training = await ended(desk, {
    kind: 'training',
    cache: false,
    params: {
      data: { dataset: 'sample:sp500-20', start: '2005-01-01', end: '2019-12-31' },
      features: [{ name: 'rank', of: { name: 'ret', lags: [1, 5, 20] } }],
      target: { name: 'forward_return', horizon: 5 },
      model: { name: 'xgboost', params: { n_estimators: 50, max_depth: 3 } },
      validation: { method: 'walk_forward', folds: 5 },
    },
  })
  return {
    backtests_succeeded: Number(backtest.state === 'succeeded'),
    backtest_s: seconds(backtest),
    trainings_succeeded: Number(training.state === 'succeeded'),
    training_s: seconds(training),
  }
}

const ended = async (desk: Desk, spec: object) => desk.ended((await desk.submit(spec)).id)
const seconds = ({ created_at, finished_at }: JobView) =>
  Math.round((Date.parse(finished_at ?? '') - Date.parse(created_at)) / 100) / 10
