// Runs steps one after the other, shows what they print, and counts. Plain JavaScript for Node 20.
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { exists, readIfThere } from './install.mjs'

/** A step that takes longer hangs: the longest takes a quarter of an hour on two idle cores. */
const maxStepMs = 28 * 60_000
/** Characters that are kept of what a step prints beside others: its end tells what failed. */
const maxHeld = 1_000_000
/** For what was printed before the end to be read. */
const lastWordsMs = 5_000

/**
 * Runs every step, also after one has failed. A step whose folder is not there is not listed.
 * @param {{ name: string, needs: string, command: string[], env?: Record<string, string>, report?: string,
 *   beside?: boolean, after?: Promise<unknown> }[]} steps `report`: a file with the runner's own figures, of JUnit (.xml) or as
 *   `{ passed, failed, failures, skipped }` (.json); without one a step counts as one check. `beside`: it runs at the same time as
 *   the step before it, and what both print is shown when they have ended; `after`: it begins when this has settled
 * @param {{ root: string, log?: (line: string) => void, unable?: (step: object) => string | null }} options
 *   unable: why a step cannot run here; it has failed then
 * @returns {Promise<number>} the exit code; the last line is `N passed, N failed` and, if any, `, N skipped`
 */
export async function runSteps(steps, { root, log = console.log, unable = () => null }) {
  const results = []
  for (const group of groupsOf(steps.filter(({ needs }) => exists(join(root, needs))))) {
    const held = group.length > 1
    const titles = group.map((step) => `\n== ${step.name}: ${step.command.join(' ')}`)
    if (held) log(`\n== at the same time: ${group.map(({ name }) => name).join('; ')}`)
    else log(titles[0])
    const done = await Promise.all(group.map((step) => runOne(step, { root, unable, held })))
    for (const [index, { printed, ...result }] of done.entries()) {
      if (held) log(`${titles[index]}\n${printed}`)
      results.push(result)
    }
  }
  return summarize(results, log)
}

function groupsOf(steps) {
  const groups = []
  for (const step of steps) {
    if (step.beside && groups.length > 0) groups.at(-1).push(step)
    else groups.push([step])
  }
  return groups
}

async function runOne(step, { root, unable, held }) {
  await Promise.allSettled([step.after])
  const started = performance.now()
  if (step.report) prepareReport(join(root, step.report))
  const why = unable(step)
  const { problem, printed } = why === null ? await run(step, root, held) : { problem: why, printed: '' }
  const seconds = (performance.now() - started) / 1000
  return { name: step.name, seconds, printed, ...figuresOf(step, root, problem) }
}

/** An old report must not speak for a run that wrote none. */
function prepareReport(path) {
  mkdirSync(dirname(path), { recursive: true })
  rmSync(path, { force: true })
}

/** @returns {Promise<{ problem: string | null, printed: string }>} null: exit code 0; else how it ended */
function run({ command: [command, ...args], env = {} }, root, held) {
  return new Promise((resolve) => {
    const path = [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter)
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, PATH: path, ...env },
      stdio: ['ignore', ...(held ? ['pipe', 'pipe'] : ['inherit', 'inherit'])],
      // A group of its own, so that nothing that a step started outlives it.
      detached: true,
    })
    let printed = ''
    const hold = (text) => (printed = `${printed}${text}`.slice(-maxHeld))
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', hold)
    const endGroup = (signal) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal)
      } catch (error) {
        // EPERM: macOS says so of a group whose processes have all ended.
        if (error.code !== 'ESRCH' && error.code !== 'EPERM') throw error
      }
    }
    let late = false
    const bound = setTimeout(() => {
      late = true
      endGroup('SIGKILL')
    }, maxStepMs)
    const stop = (signal) => {
      endGroup(signal)
      // Those beside it hear of it too.
      setImmediate(() => process.exit(130))
    }
    process.on('SIGINT', stop).on('SIGTERM', stop)
    const end = (problem) => {
      clearTimeout(bound)
      process.off('SIGINT', stop).off('SIGTERM', stop)
      resolve({ problem, printed })
    }
    child.on('error', (error) => end(error.message))
    child.on('exit', (code, signal) => {
      endGroup('SIGKILL')
      const ended = code === 0 ? null : `exit code ${code ?? signal}`
      const tell = () => end(late ? `still running after ${maxStepMs / 60_000} minutes` : ended)
      if (!held) return tell()
      // What it printed last is still on its way, unless someone who left its group keeps the pipe.
      child.on('close', tell)
      setTimeout(tell, lastWordsMs).unref()
    })
  })
}

/** A runner that fails without a failed test (coverage, a file that does not load) counts as one failure. */
function figuresOf({ report }, root, problem) {
  const told = report
    ? readReport(join(root, report))
    : { passed: problem === null ? 1 : 0, failed: 0, skipped: [] }
  const figures = { failures: [], ...(told ?? { passed: 0, failed: 0, skipped: [] }) }
  const why = told === null ? (problem ?? 'it left no report') : problem
  const besides = report && why !== null && told !== null && figures.failed === 0
  const said = besides ? `${why}, without a failed test: see what it printed` : why
  return { ...figures, failed: figures.failed || (why === null ? 0 : 1), problem: said }
}

function readReport(path) {
  const text = readIfThere(path)
  if (text === null) return null
  return path.endsWith('.json') ? JSON.parse(text) : readJunit(text)
}

/** pytest's own file, whose attributes are the counts. */
function readJunit(text) {
  const count = (name) => Number(new RegExp(`<testsuite [^>]*\\b${name}="(\\d+)"`).exec(text)?.[1] ?? 0)
  const failed = count('failures') + count('errors')
  const told = (what) =>
    [...text.matchAll(new RegExp(` name="([^"]*)"[^>]*><(?:${what}) [^>]*message="([^"]*)"`, 'g'))].map(
      ([, name, reason]) => `${name}: ${reason.split('&#10;')[0]}`,
    )
  const reasons = told('skipped')
  while (reasons.length < count('skipped')) reasons.push('a test, for the reason above')
  const passed = count('tests') - failed - count('skipped')
  return { passed, failed, failures: told('failure|error'), skipped: reasons }
}

function summarize(results, log) {
  log('\n== summary')
  for (const { name, seconds, passed, failed, skipped, problem } of results) {
    const mark = problem === null && failed === 0 ? 'ok  ' : 'FAIL'
    const counts = `${passed} passed, ${failed} failed, ${skipped.length} skipped`
    log(`${mark} ${seconds.toFixed(1).padStart(6)} s  ${name}: ${counts}${problem ? ` (${problem})` : ''}`)
    for (const test of skipped) log(`                 skipped: ${test}`)
  }
  // Last, because whoever is shown only the end of a long output needs these.
  for (const { name, failures } of results) for (const test of failures) log(`failed, ${name}: ${test}`)
  const sum = (pick) => results.reduce((total, result) => total + pick(result), 0)
  log(`         ${sum(({ seconds }) => seconds).toFixed(1)} s in all`)
  const [passed, failed] = [sum((result) => result.passed), sum((result) => result.failed)]
  const skipped = sum((result) => result.skipped.length)
  log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  return failed === 0 ? 0 : 1
}
