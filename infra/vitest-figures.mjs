// A reporter that writes the figures of a run, and why a test was skipped (which Vitest's JSON leaves out),
// and why one failed, to the file named in VITEST_FIGURES: { passed, failed, failures: ["test: error"],
// skipped: ["test: reason"] }.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Characters that are told of why a test failed: a check can show whole tables. */
const maxWhy = 2_000

// oxlint-disable-next-line import/no-default-export -- Vitest takes a reporter file's default export.
export default class Figures {
  onTestRunEnd(modules) {
    const path = process.env.VITEST_FIGURES
    if (!path) return
    const results = modules.flatMap((module) => [...module.children.allTests()]).map(resultOf)
    const named = (state) => results.filter((result) => result.state === state)
    const figures = {
      passed: named('passed').length,
      failed: named('failed').length,
      failures: named('failed').map(({ name, note }) => `${name}${note}`),
      skipped: [...named('skipped'), ...named('pending')].map(({ name, note }) => `${name}${note}`),
    }
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, `${JSON.stringify(figures, null, 2)}\n`)
  }
}

function resultOf(test) {
  const { state, note, errors } = test.result()
  const why = note ?? errors?.[0]?.message?.split('\n')[0].slice(0, maxWhy)
  return { state, name: test.fullName, note: why ? `: ${why}` : '' }
}
