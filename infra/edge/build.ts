// `npm run build:edge`: an entry a runtime in dist/edge, with all that it needs. What the first answers do not need is in files beside
// it, which are loaded when something needs them: of what a function starts with each byte is read before it answers.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build, type Metafile, type Plugin } from 'esbuild'
import { programs } from '../program-version.ts'
import { readRunnerFiles } from '../runner-files.ts'

const root = resolve(import.meta.dirname, '..', '..')
export const edgeRuntimes = ['workerd', 'lambda', 'deno', 'bun', 'node'] as const
export type EdgeRuntime = (typeof edgeRuntimes)[number]

export interface Bundle {
  /** The entry. */
  file: string
  /** Of all its files, each gzipped by itself. */
  bytes: number
  gzip_bytes: number
  /** Files of this checkout that it is made of. */
  inputs: string[]
}

/** Writes all of them into a folder: `lambda.mjs` and so on, with `chunks/`, and `workerd/`, whose modules `workerd/modules.capnp` lists. */
export async function buildEdges(folder: string): Promise<Record<EdgeRuntime, Bundle>> {
  const [first, ...others] = edgeRuntimes
  const given = assets()
  const worker = join(folder, first)
  // What is alike for several is read once, and is there once.
  const made = await Promise.all([
    bundle([first], { outdir: worker, chunkNames: '[name]-[hash]' }, given),
    bundle(others, { outdir: folder, chunkNames: 'chunks/[name]-[hash]' }, given),
  ])
  writeFileSync(join(worker, 'modules.capnp'), listModules(worker, `${first}.mjs`))
  return Object.assign({}, ...made) as Record<EdgeRuntime, Bundle>
}

async function bundle(
  runtimes: readonly EdgeRuntime[],
  into: { outdir: string; chunkNames: string },
  given: ReturnType<typeof assets>,
): Promise<Partial<Record<EdgeRuntime, Bundle>>> {
  const { metafile, outputFiles } = await build({
    entryPoints: runtimes.map((runtime) => join(root, 'infra', 'edge', `${runtime}.ts`)),
    ...into,
    outExtension: { '.js': '.mjs' },
    absWorkingDir: root,
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'es2024',
    platform: 'node',
    // What a package has as ESM is read faster, and what of it is not used is left out.
    mainFields: ['module', 'main'],
    conditions: runtimes.includes('workerd') ? ['workerd', 'worker'] : [],
    // Some packages look for these where they are; none is needed.
    external: ['cloudflare:*', 'pg-native', 'bun:*'],
    minify: true,
    metafile: true,
    write: false,
    legalComments: 'linked',
    logLevel: 'warning',
    plugins: [englishOnly, noCompiler],
    define: {
      ...given,
      // A function has no folder of its own: what is named by one is never read.
      'import.meta.dirname': '"/"',
      'import.meta.main': 'false',
      'process.env.NODE_ENV': '"production"',
    },
    // By the first words Bun knows that there is nothing to translate.
    banner: { js: `// @bun\n${makesRequire}` },
  })
  checkImports(metafile)
  for (const { path, text } of outputFiles) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, withoutRequire(text))
  }
  return Object.fromEntries(runtimes.map((runtime) => [runtime, bundleOf(metafile, runtime)]))
}

/** Packages in CommonJS ask for modules of Node by it. */
const makesRequire = "import { createRequire as __berth } from 'node:module'; const require = __berth('/');\n"
/** esbuild writes it into each file, and one of them uses it. */
function withoutRequire(text: string): string {
  const rest = text.replace(makesRequire, '')
  return /\brequire\b/.test(rest) ? text : rest
}

/** Of a package in CommonJS a file of its own exports no names: it is imported by a module of ours, which is what is loaded later. */
function checkImports({ inputs }: Metafile): void {
  for (const [file, { imports }] of Object.entries(inputs))
    for (const { path, kind } of imports)
      if (kind === 'dynamic-import' && inputs[path]?.format === 'cjs')
        throw new Error(`${file} loads ${path} later, which is in CommonJS: import it in a file of its own`)
}

/** The entry of a runtime, with what it may come to load. */
function bundleOf({ outputs }: Metafile, runtime: EdgeRuntime): Bundle {
  const entry = `infra/edge/${runtime}.ts`
  const files = new Set(Object.keys(outputs).filter((file) => outputs[file]?.entryPoint === entry))
  // A set takes in what is added while it is gone through.
  for (const file of files)
    for (const { path, external } of outputs[file]?.imports ?? []) if (!external) files.add(path)
  const [file = ''] = files
  const contents = [...files].map((each) => readFileSync(join(root, each)))
  return {
    file: join(root, file),
    bytes: sum(contents.map(({ byteLength }) => byteLength)),
    gzip_bytes: sum(contents.map((content) => gzipSync(content).byteLength)),
    inputs: [...files].flatMap((each) => Object.keys(outputs[each]?.inputs ?? {})),
  }
}

const sum = (values: readonly number[]) => values.reduce((total, each) => total + each, 0)

/** For infra/edge/berth.capnp: workerd loads no file that its configuration does not name. The first is where it begins. */
function listModules(folder: string, entry: string): string {
  const others = readdirSync(folder).filter((name) => name.endsWith('.mjs') && name !== entry)
  const lines = [entry, ...others.toSorted()].map(
    (name) => `  (name = "${name}", esModule = embed "${name}"),`,
  )
  return `using Workerd = import "/workerd/workerd.capnp";

const modules :List(Workerd.Worker.Module) = [
${lines.join('\n')}
];
`
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

/** zod's compiler of schemas and its reader of JSON Schema are exported with the rest and called by nobody: whoever comes to is told. */
const noCompiler: Plugin = {
  name: 'no compiler',
  setup(it) {
    it.onLoad({ filter: /\/zod\/v4\/(core\/compile|classic\/from-json-schema)\.js$/ }, ({ path }) => {
      const exported = /^export (?:\/\*@__\w+__\*\/ )?(?:const|class|function) (\w+)/gm
      const names = [...readFileSync(path, 'utf8').matchAll(exported)].map(([, name]) => `none as ${name}`)
      const text = `${relative(root, path)} is left out of the bundles (infra/edge/build.ts)`
      return {
        contents: `function none() { throw new Error(${JSON.stringify(text)}) }\nexport { ${names.join(', ')} }`,
      }
    })
  },
}

/** Texts of JSON: what is none of the simple values would be a file that all others load. */
function assets() {
  const names = readdirSync(join(root, 'migrations')).map((name) => name.replace(/\.ts$/, ''))
  const files = Object.entries(readRunnerFiles())
  const text = (value: unknown) => JSON.stringify(JSON.stringify(value))
  return {
    BERTH_ASSETS: text({ migration: names.toSorted().at(-1), programs: programs() }),
    BERTH_RUNNER_FILES: text(
      Object.fromEntries(files.map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')])),
    ),
  }
}

if (import.meta.main) {
  const folder = join(root, 'dist', 'edge')
  // Files of an earlier build have other names.
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const { file, bytes, gzip_bytes } of Object.values(await buildEdges(folder))) {
    const kb = (n: number) => `${Math.round(n / 1_000)} kB`
    console.log(`${relative(root, file)}: ${kb(bytes)}, ${kb(gzip_bytes)} gzipped`)
  }
}
