import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { configDefaults, defineConfig } from 'vitest/config'

// Plain JavaScript, without types.
const kubeEnv = new URL('infra/kube-env.mjs', import.meta.url).href
const { kubeBinary } = (await import(kubeEnv)) as { kubeBinary: () => string }

const globalSetup = ['./test/support/global-setup.ts', './test/support/kube-setup.ts']

/** They have nothing to do with a database, or reach it through the API alone as others do: run with the embedded one alone. */
const withoutDatabase = [
  'test/cli/**/*.test.ts',
  'test/console/**/*.test.ts',
  'test/functions/{request-bounds,scope-matrix}.test.ts',
  'test/infra/{chart,describe-table,images,listen,mail,object-store,release,s3-store,slow-clients}.test.ts',
  'test/jobs/custom-runner.test.ts',
  'test/end-to-end/{canaries,object-store,containers,reports,results,schemathesis}.test.ts',
  'test/providers/**/*.test.ts',
]
const isPostgres = process.env['BERTH_TEST_DATABASE'] === 'postgres'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(isPostgres ? withoutDatabase : [])],
    // One less than there are cores is Vitest's own choice: on two they would run one after the other.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    globalSetup,
    // Bounds against a hang and not promises of speed: CI machines are slow and shared.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    // What a failed check saw, whole: CI shows little else of it.
    chaiConfig: { truncateThreshold: 2_000 },
    coverage: {
      provider: 'v8',
      reportOnFailure: true,
      include: ['functions/**/*.ts', 'jobs/**/*.ts', 'providers/**/*.ts', 'infra/**/*.ts', 'cli/**/*.ts'],
      // These run only in servers that the end-to-end tests start as processes of their own, which v8 does not
      // count; nudge.ts needs PostgreSQL, and its test runs there.
      exclude: [
        'infra/{node,compose,domain-settings,health-only,loops,migrate,nudge}.ts',
        // Bundled, and run on runtimes of their own.
        'infra/edge/{assets,build,bun,compose,database,deno,edge,installation,lambda,node,outbound,served,tables,waker,workerd}.ts',
        // Its tests are skipped then.
        ...(existsSync(kubeBinary()) ? [] : ['providers/kubernetes/**']),
      ],
      reporter: ['text', 'json-summary', 'html'],
      reportsDirectory: 'coverage/typescript',
      thresholds: { lines: 90 },
    },
  },
})
