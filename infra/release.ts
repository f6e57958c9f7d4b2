// `npm run release`: what a release consists of, into dist/: the same bytes from the same commit, on any machine.
import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Command } from 'commander'

const root = resolve(import.meta.dirname, '..')
/** Of the next tarball nothing but what runs: no tests, no measurements. */
const served = [
  'cli',
  'console',
  'containers',
  'docs',
  'functions',
  'infra',
  'jobs',
  'migrations',
  'providers',
]
/** Tests beside what they test. */
const left_out = [':(exclude,glob)containers/*/tests/**', ':(exclude)containers/peers']
const files = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'SECURITY.md',
  'openapi.json',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  '.dockerignore',
]
/** A build backend is fetched once. */
const build_ms = 300_000

/** Where each part says its version. Throws naming those that differ. */
export function version(folder = root): string {
  const read = (path: string) => readFileSync(join(folder, path), 'utf8')
  const told = new Map([
    ['package.json', (JSON.parse(read('package.json')) as { version: string }).version],
    ['infra/chart/Chart.yaml (version)', /^version: (\S+)$/m.exec(read('infra/chart/Chart.yaml'))?.[1]],
    ['infra/chart/Chart.yaml (appVersion)', /^appVersion: (\S+)$/m.exec(read('infra/chart/Chart.yaml'))?.[1]],
    [
      'clients/python/pyproject.toml',
      /^version = "(\S+)"$/m.exec(read('clients/python/pyproject.toml'))?.[1],
    ],
  ])
  const [own = ''] = told.values()
  const others = [...told].filter(([, each]) => each !== own)
  if (others.length > 0)
    throw new Error(`package.json says ${own}, but ${others.map(([at, each]) => `${at} ${each}`).join(', ')}`)
  return own
}

/** Writes the files of a release of what is committed, and their hashes; answers their names. */
export function release(out: string): string[] {
  const own = version()
  const at = git('show', '--no-patch', '--format=%ct', 'HEAD')
  const there = new Set(git('ls-tree', '--name-only', 'HEAD').split('\n'))
  mkdirSync(out, { recursive: true })
  const server = join(out, `berth-${own}.tar.gz`)
  const paths = [...files, ...served].filter((path) => there.has(path))
  git(
    'archive',
    '--format=tar.gz',
    `--prefix=berth-${own}/`,
    `--output=${server}`,
    'HEAD',
    ...paths,
    ...left_out,
  )
  // What `helm install` takes: the folder of the chart, under its name.
  const chart = join(out, `berth-chart-${own}.tgz`)
  git('archive', '--format=tar.gz', '--prefix=berth/', `--output=${chart}`, commitOf('infra/chart', at))
  wheel(out, at)
  const names = readdirSync(out)
    .filter((name) => name.startsWith('berth-'))
    .toSorted()
  const sums = names.map((name) => `${sha256(join(out, name))}  ${name}\n`)
  writeFileSync(join(out, 'SHA256SUMS'), sums.join(''))
  return [...names, 'SHA256SUMS']
}

/** Of a folder alone, at the same time: files of what is no commit would be as old as the archive. */
function commitOf(folder: string, at: string): string {
  const who = { NAME: 'The Berth authors', EMAIL: 'berth@example.com', DATE: `${at} +0000` }
  const env = Object.entries(who).flatMap(([name, value]) =>
    ['AUTHOR', 'COMMITTER'].map((role) => [`GIT_${role}_${name}`, value] as const),
  )
  return execFileSync('git', ['commit-tree', `HEAD:${folder}`, '-m', folder], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...Object.fromEntries(env) },
  }).trim()
}

/** Of a clean copy: a wheel must not hold what lies beside the sources. */
function wheel(out: string, at: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'berth-wheel-'))
  try {
    const archive = join(folder, 'client.tar')
    git('archive', `--output=${archive}`, 'HEAD:clients/python')
    execFileSync('tar', ['-xf', archive, '-C', folder])
    rmSync(archive)
    execFileSync(
      join(root, '.venv', 'bin', 'uv'),
      ['build', '--wheel', '--quiet', '--out-dir', resolve(out), folder],
      {
        env: { ...process.env, SOURCE_DATE_EPOCH: at },
        timeout: build_ms,
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
    // uv keeps its folder out of repositories.
    rmSync(join(out, '.gitignore'), { force: true })
  }
}

const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')
const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()

if (import.meta.main) {
  const program = new Command('release')
    .description('write the server, the chart, the Python client and their hashes')
    .option('--out <folder>', 'where to', join(root, 'dist'))
    .action(({ out }: { out: string }) => {
      if (git('status', '--porcelain') !== '')
        console.log('The checkout has changes: what is released is the last commit.')
      for (const name of release(resolve(out))) console.log(join(out, name))
      console.log(`Images: npm run images -- build --tag ${version()}`)
    })
  try {
    await program.parseAsync()
  } catch (error) {
    console.error(`release: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}
