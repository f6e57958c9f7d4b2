// `npm run images`: builds Berth's images with the bases of infra/images.env, and writes the digests of those.
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { createOutboundFetch } from './outbound.ts'
import { createImageResolver, registryBound_ms } from './registry.ts'
import packageJson from '../package.json' with { type: 'json' }

const root = resolve(import.meta.dirname, '..')
const basesFile = join(root, 'infra', 'images.env')

interface Recipe {
  file: string
  context: string
  target?: string
  args?: Readonly<Record<string, string>>
}

/** Every image of Berth: of what it is built. Names of CUDA are those of the same programs with more in them. */
export const recipes: Readonly<Record<string, Recipe>> = {
  server: { file: 'infra/Dockerfile', context: '.', target: 'server' },
  local: { file: 'infra/Dockerfile', context: '.', target: 'local' },
  runner: { file: 'containers/runner/Dockerfile', context: 'containers' },
  backtest: { file: 'containers/backtest/Dockerfile', context: 'containers' },
  'backtest-cuda': { file: 'containers/backtest/Dockerfile', context: 'containers', args: { CUDA: '1' } },
  training: { file: 'containers/training/Dockerfile', context: 'containers' },
  'training-cuda': { file: 'containers/training/Dockerfile', context: 'containers', args: { CUDA: '1' } },
}

/** What mirrors are told by; they are given on where they are set. */
const mirrors = [
  'npm_config_registry',
  'PIP_INDEX_URL',
  'UV_DEFAULT_INDEX',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
]

export interface BuildOptions {
  prefix: string
  tag: string
  revision: string
  /** Images by the names of infra/images.env. */
  bases: ReadonlyMap<string, string>
  env: Readonly<Record<string, string | undefined>>
}

/** What an engine (docker, podman) is called with to build an image. Throws for a name that there is not. */
export function buildArguments(name: string, { prefix, tag, revision, bases, env }: BuildOptions): string[] {
  const recipe = recipes[name]
  if (!recipe) throw new Error(`there is no image ${name}: name some of ${Object.keys(recipes).join(', ')}`)
  const given = {
    NODE_IMAGE: bases.get('NODE_IMAGE'),
    PYTHON_IMAGE: bases.get('PYTHON_IMAGE'),
    BERTH_VERSION: packageJson.version,
    BERTH_REVISION: revision,
    ...recipe.args,
    ...Object.fromEntries(mirrors.map((mirror) => [mirror, env[mirror]])),
  }
  const file = readFileSync(join(root, recipe.file), 'utf8')
  // An argument that a file does not take is an error or a warning, as the engine likes; proxies are every file's.
  const args = Object.entries(given).filter(
    ([key, value]) => value !== undefined && (key.endsWith('_PROXY') || file.includes(`ARG ${key}`)),
  )
  return [
    'build',
    '--file',
    recipe.file,
    ...(recipe.target ? ['--target', recipe.target] : []),
    ...args.flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
    '--tag',
    `${prefix}/${name}:${tag}`,
    recipe.context,
  ]
}

/** Names and images of a file as compose takes it (`NAME=image`). */
export function readBases(text: string): Map<string, string> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [, name, image] = /^([A-Z0-9_]+)=(\S+)$/.exec(line) ?? []
      return name && image ? [[name, image] as const] : []
    }),
  )
}

type Resolve = (image: string) => ReturnType<ReturnType<typeof createImageResolver>>

/** The same text with the digest of every image that its registry tells; what was not told stays as it was. */
export async function pinned(text: string, resolveImage: Resolve) {
  const skipped: string[] = []
  const lines: string[] = []
  for (const line of text.split('\n')) {
    const [, name, image] = /^([A-Z0-9_]+)=(\S+)$/.exec(line) ?? []
    const tagged = image?.replace(/@sha256:[0-9a-f]{64}$/, '')
    const resolution = tagged ? await resolveImage(tagged) : null
    if (resolution?.state === 'found') lines.push(`${name}=${tagged}@${resolution.digest}`)
    else lines.push(line)
    if (resolution && resolution.state !== 'found') skipped.push(`${tagged}: ${resolution.why}`)
  }
  return { text: lines.join('\n'), skipped }
}

function build(
  names: readonly string[],
  { engine, ...options }: { engine: string; prefix: string; tag: string },
) {
  const bases = readBases(readFileSync(basesFile, 'utf8'))
  for (const [name, image] of bases) bases.set(name, process.env[name]?.trim() || image)
  for (const name of names.length > 0 ? names : Object.keys(recipes)) {
    const image = `${options.prefix}/${name}:${options.tag}`
    const args = buildArguments(name, { ...options, revision: revision(), bases, env: process.env })
    console.log(`${engine} ${args.join(' ')}`)
    // Docker's own format, for the other has no health checks.
    const format = /podman/.test(engine) ? ['--format', 'docker'] : []
    const built = spawnSync(engine, [...args.slice(0, 1), ...format, ...args.slice(1)], {
      cwd: root,
      stdio: 'inherit',
    })
    if (built.error)
      throw new Error(`${engine} does not run (${built.error.message}): name another with --engine`)
    if (built.status !== 0) throw new Error(`${image} was not built: what ${engine} said is above`)
    const inspect = ['image', 'inspect', '--format', '{{.Size}}', image]
    const bytes = Number(execFileSync(engine, inspect, { encoding: 'utf8' }))
    console.log(`${image}: ${Math.round(bytes / 1024 ** 2)} MiB`)
  }
}

/** The commit of the checkout; a tree that was changed since says so. */
function revision(): string {
  const git = spawnSync('git', ['describe', '--always', '--dirty', '--abbrev=40', '--exclude=*'], {
    cwd: root,
    encoding: 'utf8',
  })
  return git.status === 0 ? git.stdout.trim() : 'unknown'
}

async function pin(): Promise<void> {
  const fetch = createOutboundFetch({ allow_private: true, timeout_ms: registryBound_ms })
  const resolver = createImageResolver({ fetch, now: () => new Date() })
  const before = readFileSync(basesFile, 'utf8')
  const { text, skipped } = await pinned(before, resolver)
  if (text !== before) writeFileSync(basesFile, text)
  for (const line of skipped) console.log(`skipped: ${line}`)
  console.log(text === before ? 'infra/images.env is as it was' : 'infra/images.env has new digests')
}

if (import.meta.main) {
  const program = new Command('images').description(
    "build Berth's images, and name those that they are built on",
  )
  program
    .command('build')
    .argument('[names...]', `some of ${Object.keys(recipes).join(', ')}; all of them`)
    .option('--engine <command>', 'docker or podman', 'docker')
    .option('--prefix <prefix>', 'registry and folder', 'registry.example.com/berth')
    .option('--tag <tag>', 'tag', packageJson.version)
    .action(build)
  program.command('pin').description('write the digests of the bases into infra/images.env').action(pin)
  try {
    await program.parseAsync()
  } catch (error) {
    console.error(`images: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}
