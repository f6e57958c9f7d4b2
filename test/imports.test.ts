import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, matchesGlob, normalize, relative, resolve } from 'node:path'
import { parseAst } from 'vitest/node'
import { describe, expect, test } from 'vitest'

// The arrows of the README's diagram. A file follows the first row that it matches.
const contract = ['providers/provider.ts', 'providers/errors.ts']
/** What GPUs are called and what they are: adapters and placement read the same list. */
const gpus = ['providers/gpu-models.ts', 'providers/gpus.ts']
const everything = [
  'functions/**',
  'jobs/**',
  'providers/**',
  'infra/**',
  'migrations/**',
  'cli/**',
  '*.json',
]

interface Row {
  /** Files that may be imported. */
  files: readonly string[]
  /** Files whose types alone may be imported. */
  types?: readonly string[]
  packages: 'any' | readonly string[]
  /** Whether an import may compute its path (a lazy registry, migrations found by name). */
  computed?: true
}

const table: Record<string, Row> = {
  'functions/**': { files: ['functions/**', 'jobs/**'], packages: 'any' },
  // Hashing is the only thing of the runtime that the domain uses itself; workers have it too.
  'jobs/**': {
    files: ['jobs/**', ...contract, ...gpus],
    packages: ['zod', 'kysely', 'standardwebhooks', 'uuid', 'typeid-js', 'node:crypto'],
  },
  'providers/{provider,errors}.ts': { files: contract, packages: [] },
  'providers/**': { files: ['providers/**'], packages: 'any', computed: true },
  'migrations/**': { files: ['migrations/**'], packages: ['kysely'] },
  'infra/**': { files: everything, packages: 'any', computed: true },
  'cli/**': {
    files: ['cli/**', 'package.json'],
    types: ['functions/_app.ts', 'jobs/state.ts'],
    packages: 'any',
  },
  // A build's settings, which Vite runs.
  'console/vite.config.ts': { files: [], packages: 'any' },
  'console/ui/**': { files: ['console/ui/**', 'console/text/**'], packages: 'any' },
  'console/**': {
    // What a provider must allow is shown for copying.
    files: ['console/**', 'jobs/state.ts', 'infra/{alibaba,aws,kubernetes,tencent}/*.*'],
    types: ['functions/_app.ts'],
    packages: 'any',
    // A page is loaded when it is opened.
    computed: true,
  },
  // A measurement starts the same servers, desks and simulations as the tests.
  'bench/**': {
    files: ['bench/**', 'test/support/**', 'test/simulation/**', ...everything],
    packages: 'any',
    computed: true,
  },
  'test/**': { files: ['**'], packages: 'any', computed: true },
  // How the tests run.
  'vitest.config.ts': { files: ['test/support/**'], packages: 'any', computed: true },
  '*.config.ts': { files: [], packages: 'any', computed: true },
}

interface Import {
  /** null: computed at run time. */
  source: string | null
  type_only: boolean
}

interface Node {
  type: string
  source?: { value?: unknown } | null
  importKind?: string
  exportKind?: string
  specifiers?: { importKind?: string; exportKind?: string }[]
}

/** Every import of a file that its row does not allow, as `file: what`. */
function wrongImports(file: string, code: string): string[] {
  const row = Object.entries(table).find(([pattern]) => matchesGlob(file, pattern))?.[1]
  if (row === undefined) return [`${file}: no row of the table is for it`]
  return importsOf(code, file)
    .filter((found) => !isAllowed(row, file, found))
    .map(({ source, type_only }) => `${file}: ${source ?? 'a computed path'}${type_only ? ' (types)' : ''}`)
}

function isAllowed(row: Row, file: string, { source, type_only }: Import): boolean {
  if (source === null) return row.computed === true
  if (!source.startsWith('.')) return row.packages === 'any' || row.packages.includes(packageOf(source))
  const target = normalize(join(dirname(file), source))
  const allowed = type_only ? [...row.files, ...(row.types ?? [])] : row.files
  return allowed.some((pattern) => matchesGlob(target, pattern))
}

function packageOf(source: string): string {
  if (source.startsWith('node:')) return source
  return source.split('/', source.startsWith('@') ? 2 : 1).join('/')
}

function importsOf(code: string, file: string): Import[] {
  const found: Import[] = []
  visit(
    parseAst(code, { lang: file.endsWith('.tsx') ? 'tsx' : file.endsWith('.mjs') ? 'js' : 'ts' }, file),
    (node) => {
      const isImport = ['ImportDeclaration', 'ImportExpression', 'TSImportType'].includes(node.type)
      const isExport = node.type.startsWith('Export') && node.source
      if (!isImport && !isExport) return
      const source = node.source?.value
      found.push({ source: typeof source === 'string' ? source : null, type_only: isTypeOnly(node) })
    },
  )
  return found
}

function isTypeOnly({ type, importKind, exportKind, specifiers = [] }: Node): boolean {
  if (type === 'TSImportType' || importKind === 'type' || exportKind === 'type') return true
  const kinds = specifiers.map((specifier) => specifier.importKind ?? specifier.exportKind)
  return kinds.length > 0 && kinds.every((kind) => kind === 'type')
}

function visit(value: unknown, see: (node: Node) => void): void {
  if (Array.isArray(value)) for (const item of value) visit(item, see)
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return
  if ('type' in value && typeof value.type === 'string') see(value as Node)
  for (const child of Object.values(value)) visit(child, see)
}

const root = resolve(import.meta.dirname, '..')

function sourceFiles(): string[] {
  const folders = new Set(Object.keys(table).map((pattern) => pattern.split('/')[0] ?? ''))
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => folders.has(entry.name) || entry.name.endsWith('.config.ts'))
    .flatMap((entry) => {
      const path = join(root, entry.name)
      if (!entry.isDirectory()) return [path]
      return readdirSync(path, { recursive: true, encoding: 'utf8' }).map((name) => join(path, name))
    })
    .filter((path) => /\.(ts|mts|tsx|mjs|js)$/.test(path) && !/node_modules|console\/dist/.test(path))
    .map((path) => relative(root, path))
}

test('imports follow the arrows', () => {
  const files = sourceFiles()
  // A check that reads nothing is green too.
  expect(files.length).toBeGreaterThan(10)
  expect(files).toContain('jobs/deps.ts')
  const code = files.map((file) => [file, readFileSync(join(root, file), 'utf8')] as const)
  expect(code.flatMap(([file, text]) => importsOf(text, file)).length).toBeGreaterThan(files.length)
  expect(code.flatMap(([file, text]) => wrongImports(file, text))).toEqual([])
})

describe('a wrong import is seen', () => {
  test.each([
    ['functions/get-job.ts', "import { lookup } from '../providers/runpod.ts'"],
    ['functions/get-job.ts', "import { parseConfig } from '../infra/config.ts'"],
    ['jobs/decide.ts', "import { route } from '../functions/get-job.ts'"],
    ['jobs/act.ts', "import { local } from '../providers/local/index.ts'"],
    ['jobs/act.ts', "import '../infra/config.ts'"],
    ['jobs/act.ts', "import { readFile } from 'node:fs/promises'"],
    ['jobs/act.ts', "import { Hono } from 'hono'"],
    ['jobs/store/claim.ts', "import { Client } from 'pg'"],
    ['jobs/store/claim.ts', "import { Config } from '../../infra/config.ts'"],
    ['jobs/act.ts', "const a = await import('../providers/local.ts')"],
    ['jobs/act.ts', 'const a = await import(name)'],
    ['jobs/act.ts', 'const a = await import(`../providers/${name}.ts`)'],
    ['jobs/act.ts', "export * from '../infra/config.ts'"],
    ['jobs/act.ts', "export { parseConfig } from '../infra/config.ts'"],
    ['jobs/act.ts', "import type { Config } from '../infra/config.ts'"],
    ['jobs/act.ts', "type C = import('../infra/config.ts').Config"],
    ['providers/provider.ts', "import { z } from 'zod'"],
    ['providers/runpod.ts', "import type { Job } from '../jobs/state.ts'"],
    ['providers/local/launch.ts', "import { log } from '../../infra/log.ts'"],
    ['migrations/0001_initial.ts', "import { states } from '../jobs/state.ts'"],
    ['migrations/0001_initial.ts', "import { z } from 'zod'"],
    ['cli/berth.ts', "import { createApp } from '../functions/_app.ts'"],
    ['cli/berth.ts', "import { type App, createApp } from '../functions/_app.ts'"],
    ['cli/berth.ts', "import type { Job } from '../jobs/deps.ts'"],
    ['cli/berth.ts', "import { parseConfig } from '../infra/config.ts'"],
    ['console/ui/page.tsx', "import { useApi } from '../api/context.tsx'"],
    ['console/api/client.ts', "import { createApp } from '../../functions/_app.ts'"],
    ['console/main.tsx', "import { parseConfig } from '../infra/config.ts'"],
    ['infra/compose.ts', "import { fake } from '../test/fakes/cloud.ts'"],
    ['infra/quickstart.mjs', "import { fake } from '../test/support/world.mjs'"],
    ['bench/submit.ts', "import { world } from '../test/jobs/world.ts'"],
    ['jobs/act.ts', "import { a } from '../../elsewhere/a.ts'"],
    ['helpers/util.ts', "import { z } from 'zod'"],
  ])('%s: %s', (file, code) => {
    expect(wrongImports(file, code)).toHaveLength(1)
  })
})

test.each([
  [
    'functions/get-job.ts',
    "import { z } from '@hono/zod-openapi'; import { getJob } from '../jobs/store/feed.ts'",
  ],
  ['jobs/act.ts', "import { ProviderError } from '../providers/errors.ts'; import { sql } from 'kysely'"],
  ['jobs/act.ts', "import { FileMigrationProvider } from 'kysely/migration'"],
  ['providers/registry.ts', 'const load = (name: string) => import(`./${name}.ts`)'],
  [
    'cli/berth.ts',
    "import type { App } from '../functions/_app.ts'; import { type State } from '../jobs/state.ts'",
  ],
  [
    'infra/compose.ts',
    "import { local } from '../providers/local/index.ts'; import { pass } from '../jobs/reconcile.ts'",
  ],
])('a right import is not: %s: %s', (file, code) => {
  expect(wrongImports(file, code)).toEqual([])
})
