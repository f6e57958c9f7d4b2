// `npm run build:edge`: one file a runtime in dist/edge, with all that it needs.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build, type Plugin } from 'esbuild'
import { programs } from '../program-version.ts'
import { readRunnerFiles } from '../runner-files.ts'

const root = resolve(import.meta.dirname, '..', '..')
export const edgeRuntimes = ['workerd', 'lambda', 'deno', 'bun', 'node'] as const
export type EdgeRuntime = (typeof edgeRuntimes)[number]

export interface Bundle {
  file: string
  bytes: number
  gzip_bytes: number
  /** Files of this checkout that it is made of. */
  inputs: string[]
}

/** Writes all of them into a folder, as `workerd.mjs` and so on. */
export async function buildEdges(folder: string): Promise<Record<EdgeRuntime, Bundle>> {
  const [first, ...others] = edgeRuntimes
  const given = assets()
  // What is alike for several is read once.
  const made = await Promise.all([bundle([first], folder, given), bundle(others, folder, given)])
  return Object.assign({}, ...made) as Record<EdgeRuntime, Bundle>
}

async function bundle(
  runtimes: readonly EdgeRuntime[],
  folder: string,
  given: ReturnType<typeof assets>,
): Promise<Partial<Record<EdgeRuntime, Bundle>>> {
  const { metafile } = await build({
    entryPoints: runtimes.map((runtime) => join(root, 'infra', 'edge', `${runtime}.ts`)),
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    absWorkingDir: root,
    bundle: true,
    format: 'esm',
    target: 'es2024',
    platform: 'node',
    conditions: runtimes.includes('workerd') ? ['workerd', 'worker'] : [],
    // Some packages look for these where they are; none is needed.
    external: ['cloudflare:*', 'pg-native', 'bun:*'],
    minify: true,
    metafile: true,
    legalComments: 'linked',
    logLevel: 'warning',
    plugins: [englishOnly],
    define: {
      BERTH_ASSETS: JSON.stringify(given),
      // A function has no folder of its own: what is named by one is never read.
      'import.meta.dirname': '"/"',
      'import.meta.main': 'false',
      'process.env.NODE_ENV': '"production"',
    },
    // By the first words Bun knows that there is nothing to translate. Packages in CommonJS ask for modules of Node by require.
    banner: {
      js: "// @bun\nimport { createRequire as __berth } from 'node:module'; const require = __berth('/');",
    },
  })
  const inputs = new Map(
    Object.values(metafile.outputs).map((output) => [output.entryPoint, Object.keys(output.inputs)]),
  )
  const made = runtimes.map((runtime) => {
    const file = join(folder, `${runtime}.mjs`)
    const content = readFileSync(file)
    const sizes = { bytes: content.byteLength, gzip_bytes: gzipSync(content).byteLength }
    return [runtime, { file, ...sizes, inputs: inputs.get(`infra/edge/${runtime}.ts`) ?? [] }] as const
  })
  return Object.fromEntries(made)
}

/** zod brings its messages in fifty languages; ours are in one. */
const englishOnly: Plugin = {
  name: 'english only',
  setup(it) {
    it.onResolve({ filter: /\/locales\/index\.js$/ }, ({ path, resolveDir }) =>
      /node_modules\/zod\//.test(resolveDir) ? { path: resolve(resolveDir, path, '..', 'en.js') } : null,
    )
  },
}

function assets() {
  const names = readdirSync(join(root, 'migrations')).map((name) => name.replace(/\.ts$/, ''))
  const files = Object.entries(readRunnerFiles())
  return {
    migration: names.toSorted().at(-1),
    programs: programs(),
    runner_files: Object.fromEntries(
      files.map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]),
    ),
  }
}

if (import.meta.main) {
  const folder = join(root, 'dist', 'edge')
  mkdirSync(folder, { recursive: true })
  for (const { file, bytes, gzip_bytes } of Object.values(await buildEdges(folder))) {
    const kb = (n: number) => `${Math.round(n / 1_000)} kB`
    console.log(`${relative(root, file)}: ${kb(bytes)}, ${kb(gzip_bytes)} gzipped`)
  }
}
