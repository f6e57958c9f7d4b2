// The whole gate: installs what is missing, runs every check and test, says what was passed.
// Plain JavaScript for Node 20, without dependencies.
import { ensureConsole } from './console-env.mjs'
import { ensureEdgeRuntimes } from './edge-runtimes-env.mjs'
import { checkout, InstallError } from './install.mjs'
import { ensureKube } from './kube-env.mjs'
import { ensureNode } from './node-env.mjs'
import { ensurePython } from './python-env.mjs'
import { ensureS3Server } from './s3-server-env.mjs'
import { runSteps } from './run-steps.mjs'

/** The tests that belong to a database; their coverage is added up at the end. */
const vitest = (database) => [
  'vitest',
  'run',
  '--coverage',
  '--reporter=default',
  '--reporter=./infra/vitest-figures.mjs',
  '--reporter=blob',
  `--outputFile.blob=coverage/blobs/${database}.json`,
]
const python = ['.venv/bin/python', '-m']
const pytest = (report, folder) => [...python, 'pytest', folder, '-q', '-rs', `--junitxml=${report}`]

await ensureNode().catch(refuse)
// Its own step says what is wrong with it; the tests in a browser need what it makes.
await ensureConsole().catch(tell)
// Six minutes of what the steps leave of two cores, once; without it its tests are skipped, and say so.
const kube = ensureKube().catch(tell)

/** In the order they run: what fails soonest is first. Reports and coverage are kept under coverage/. */
const steps = [
  { name: 'types', needs: 'tsconfig.json', command: ['tsc', '--noEmit'] },
  { name: 'types, console', needs: 'console', command: ['tsc', '-p', 'console', '--noEmit'] },
  { name: 'lint', needs: '.oxlintrc.json', command: ['oxlint', '--type-aware', '--deny-warnings'] },
  { name: 'format', needs: '.oxfmtrc.json', command: ['oxfmt', '--check', '.'] },
  { name: 'dead code', needs: 'knip.json', command: ['knip'] },
  { name: 'Python lint', needs: 'containers', command: ['.venv/bin/ruff', 'check', 'containers'] },
  { name: 'console', needs: 'console', command: ['node', 'infra/console-env.mjs'] },
  {
    name: 'Python format',
    needs: 'containers',
    command: ['.venv/bin/ruff', 'format', '--check', 'containers'],
  },
  {
    name: 'Python types, backtest',
    needs: 'containers/backtest/berth_backtest',
    command: [
      ...python,
      'mypy',
      '--config-file',
      'containers/pyproject.toml',
      'containers/backtest/berth_backtest',
    ],
  },
  {
    name: 'Python types, training',
    needs: 'containers/training/berth_training',
    command: [
      ...python,
      'mypy',
      '--config-file',
      'containers/pyproject.toml',
      'containers/training/berth_training',
    ],
  },
  {
    name: 'Python types, runner',
    needs: 'containers/runner',
    command: [...python, 'mypy', '--strict', 'containers/runner'],
  },
  {
    name: 'Python client, lint',
    needs: 'clients/python',
    command: ['.venv/bin/ruff', 'check', 'clients/python'],
  },
  {
    name: 'Python client, format',
    needs: 'clients/python',
    command: ['.venv/bin/ruff', 'format', '--check', 'clients/python'],
  },
  {
    name: 'Python client, types',
    needs: 'clients/python',
    command: [
      ...python,
      'mypy',
      '--config-file',
      'clients/python/pyproject.toml',
      ...['src', 'tests', 'generate_types.py'].map((part) => `clients/python/${part}`),
    ],
  },
  {
    name: 'Python tests, backtest',
    needs: 'containers/backtest/tests',
    // The backtest path keeps 95 % of its lines (containers/pyproject.toml).
    command: [
      ...pytest('coverage/backtest.xml', 'containers/backtest/tests'),
      '-c',
      'containers/pyproject.toml',
      '--cov',
      '--cov-config=containers/pyproject.toml',
      '--cov-report=term',
    ],
    env: { COVERAGE_FILE: 'coverage/.backtest' },
    report: 'coverage/backtest.xml',
  },
  {
    name: 'Python tests, runner',
    needs: 'containers/runner/tests',
    command: pytest('coverage/runner.xml', 'containers/runner/tests'),
    report: 'coverage/runner.xml',
    // It waits for processes most of its time, as the client's does for a server; the other two keep a core busy each.
    beside: true,
  },
  {
    name: 'Python tests, training',
    needs: 'containers/training/tests',
    command: [
      ...pytest('coverage/training.xml', 'containers/training/tests'),
      '-c',
      'containers/pyproject.toml',
      '--cov=berth_training',
      '--cov-config=containers/pyproject.toml',
      '--cov-report=term',
    ],
    // Not the other's: what runs at the same time would be added up, and taken away, by either.
    env: { COVERAGE_FILE: 'coverage/.training' },
    report: 'coverage/training.xml',
    beside: true,
  },
  {
    name: 'Python client',
    needs: 'clients/python',
    command: [
      ...pytest('coverage/client.xml', 'clients/python/tests'),
      '-c',
      'clients/python/pyproject.toml',
    ],
    report: 'coverage/client.xml',
    beside: true,
  },
  {
    name: 'tests, PostgreSQL',
    needs: 'migrations',
    command: vitest('postgres'),
    env: { VITEST_FIGURES: 'coverage/postgres.json', BERTH_TEST_DATABASE: 'postgres' },
    report: 'coverage/postgres.json',
  },
  {
    name: 'tests, embedded database',
    needs: 'test',
    command: vitest('embedded'),
    env: { VITEST_FIGURES: 'coverage/embedded.json', BERTH_TEST_DATABASE: 'embedded' },
    report: 'coverage/embedded.json',
    // Its tests of Kubernetes need the API server that is built meanwhile.
    after: kube,
  },
  {
    name: 'coverage',
    needs: 'vitest.config.ts',
    command: ['vitest', '--merge-reports=coverage/blobs', '--coverage', '--reporter=dot'],
  },
]

const noPython = await ensurePython({ dev: true }).then(() => null, tell)
// Without them their tests are skipped, and say so.
await ensureS3Server().catch(tell)
await ensureEdgeRuntimes().catch(tell)
const unable = ({ command }) => (command[0].startsWith('.venv') ? noPython : null)
process.exitCode = await runSteps(steps, { root: checkout, unable })

/** Without Node's packages nothing can run. */
function refuse(error) {
  tell(error)
  console.log('0 passed, 1 failed')
  process.exit(1)
}

/** Without Python its own steps fail, and the others still tell something. */
function tell(error) {
  if (!(error instanceof InstallError)) throw error
  console.error(error.message)
  return 'there is no Python environment: see above'
}
