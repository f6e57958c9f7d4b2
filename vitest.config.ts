import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { configDefaults, defineConfig } from 'vitest/config'
import { patience_ms } from './test/support/patience.ts'
import { LongestFirst } from './test/support/sequencer.ts'

// Plain JavaScript, without types.
const kubeEnv = new URL('infra/kube-env.mjs', import.meta.url).href
const { kubeBinary } = (await import(kubeEnv)) as { kubeBinary: () => string }

const globalSetup = ['./test/support/global-setup.ts', './test/support/kube-setup.ts']

/** They have nothing to do with a database, or reach it through the API alone as others do: run with the embedded one alone. */
const embeddedAlone = [
  'test/cli/**/*.test.ts',
  'test/console/**/*.test.ts',
  'test/functions/{hostile,request-bounds,scope-matrix,tenants}.test.ts',
  'test/infra/{chart,describe-table,images,listen,mail,object-store,quickstart,release,s3-store,slow-clients}.test.ts',
  'test/jobs/custom-runner.test.ts',
  'test/end-to-end/{canaries,object-store,containers,reports,results,schemathesis}.test.ts',
  'test/providers/**/*.test.ts',
]
/** The same SQL on one connection as on many; what could differ (locks, order, partitions, a server's start) is among the others. */
const postgresAlone = [
  'test/{edge,live}/*.test.ts',
  'test/end-to-end/{dataset,sweep}.test.ts',
  'test/functions/!(api|hostile|request-bounds|scope-matrix|tenants).test.ts',
  'test/jobs/!(broken-database|budgets|commit|custom-runner|dispatch|feed|lifecycle|lists|logs|restore).test.ts',
  'test/races/kill-under-load.test.ts',
]
/** Of `npm test`: `postgres`, then `embedded`. Without it everything runs on the embedded one. */
const database = process.env['BERTH_TEST_DATABASE']
const excluded = { postgres: embeddedAlone, embedded: postgresAlone }[database ?? ''] ?? []

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...excluded],
    // One less than there are cores is Vitest's own choice: on two they would run one after the other.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    globalSetup,
    sequence: { sequencer: LongestFirst },
    // Bounds against a hang and not promises of speed: CI machines are slow and shared.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    expect: { poll: { timeout: patience_ms } },
    // What a failed check saw, whole: CI shows little else of it.
    chaiConfig: { truncateThreshold: 2_000 },
    coverage: {
      provider: 'v8',
      reportOnFailure: true,
      include: ['functions/**/*.ts', 'jobs/**/*.ts', 'providers/**/*.ts', 'infra/**/*.ts', 'cli/**/*.ts'],
      // These run only in servers that the end-to-end tests start as processes of their own, which v8 does not count.
      exclude: [
        'infra/{node,serve,compose,domain-settings,health-only,loops,migrate}.ts',
        // Bundled, and run on runtimes of their own.
        'infra/edge/{assets,build,bun,compose,database,deno,edge,installation,lambda,node,outbound,served,tables,waker,workerd}.ts',
        // Its tests are skipped then.
        ...(existsSync(kubeBinary()) ? [] : ['providers/kubernetes/**']),
      ],
      // Of a part alone it says nothing: both are added up (infra/test.mjs).
      reporter: database === undefined ? ['text', 'json-summary', 'html'] : [],
      reportsDirectory: 'coverage/typescript',
      ...(database === undefined ? { thresholds: { lines: 90 } } : {}),
    },
  },
})
