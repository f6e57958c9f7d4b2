// Runs steps one after the other, shows what they print, and counts. Plain JavaScript for Node 20.
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { exists, readIfThere } from './install.mjs'

/** A step that takes longer hangs: the longest takes a quarter of an hour on two idle cores. */
const maxStepMs = 28 * 60_000

/**
 * Runs every step, also after one has failed. A step whose folder is not there is not listed.
 * @param {{ name: string, needs: string, command: string[], env?: Record<string, string>, report?: string }[]}
 *   steps `report`: a file with the runner's own figures, of JUnit (.xml) or as `{ passed, failed, skipped }`
 *   (.json); without one a step counts as one check
 * @param {{ root: string, log?: (line: string) => void, unable?: (step: object) => string | null }} options
 *   unable: why a step cannot run here; it has failed then
 * @returns {Promise<number>} the exit code; the last line is `N passed, N failed` and, if any, `, N skipped`
 */
export async function runSteps(steps, { root, log = console.log, unable = () => null }) {
  const results = []
  for (const step of steps.filter(({ needs }) => exists(join(root, needs)))) {
    log(`\n== ${step.name}: ${step.command.join(' ')}`)
    const started = performance.now()
    if (step.report) prepareReport(join(root, step.report))
    const problem = unable(step) ?? (await run(step, root))
    const seconds = (performance.now() - started) / 1000
    results.push({ name: step.name, seconds, ...figuresOf(step, root, problem) })
  }
  return summarize(results, log)
}

/** An old report must not speak for a run that wrote none. */
function prepareReport(path) {
  mkdirSync(dirname(path), { recursive: true })
  rmSync(path, { force: true })
}

/** @returns {Promise<string | null>} null: exit code 0; else how it ended */
function run({ command: [command, ...args], env = {} }, root) {
  return new Promise((resolve) => {
    const path = [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter)
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, PATH: path, ...env },
      stdio: ['ignore', 'inherit', 'inherit'],
      // A group of its own, so that nothing that a step started outlives it.
      detached: true,
    })
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
      process.exit(130)
    }
    process.on('SIGINT', stop).on('SIGTERM', stop)
    const end = (problem) => {
      clearTimeout(bound)
      process.off('SIGINT', stop).off('SIGTERM', stop)
      resolve(problem)
    }
    child.on('error', (error) => end(error.message))
    child.on('exit', (code, signal) => {
      endGroup('SIGKILL')
      if (late) end(`still running after ${maxStepMs / 60_000} minutes`)
      else end(code === 0 ? null : `exit code ${code ?? signal}`)
    })
  })
}

/** A runner that fails without a failed test (coverage, a file that does not load) counts as one failure. */
function figuresOf({ report }, root, problem) {
  const told = report
    ? readReport(join(root, report))
    : { passed: problem === null ? 1 : 0, failed: 0, skipped: [] }
  const figures = told ?? { passed: 0, failed: 0, skipped: [] }
  const why = told === null ? (problem ?? 'it left no report') : problem
  return { ...figures, failed: figures.failed || (why === null ? 0 : 1), problem: why }
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
  const skipped = [...text.matchAll(/ name="([^"]*)"[^>]*><skipped [^>]*message="([^"]*)"/g)]
  const reasons = skipped.map(([, name, reason]) => `${name}: ${reason}`)
  while (reasons.length < count('skipped')) reasons.push('a test, for the reason above')
  return { passed: count('tests') - failed - count('skipped'), failed, skipped: reasons }
}

function summarize(results, log) {
  log('\n== summary')
  for (const { name, seconds, passed, failed, skipped, problem } of results) {
    const mark = problem === null && failed === 0 ? 'ok  ' : 'FAIL'
    const counts = `${passed} passed, ${failed} failed, ${skipped.length} skipped`
    log(`${mark} ${seconds.toFixed(1).padStart(6)} s  ${name}: ${counts}${problem ? ` (${problem})` : ''}`)
    for (const test of skipped) log(`                 skipped: ${test}`)
  }
  const sum = (pick) => results.reduce((total, result) => total + pick(result), 0)
  log(`         ${sum(({ seconds }) => seconds).toFixed(1)} s in all`)
  const [passed, failed] = [sum((result) => result.passed), sum((result) => result.failed)]
  const skipped = sum((result) => result.skipped.length)
  log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  return failed === 0 ? 0 : 1
}
