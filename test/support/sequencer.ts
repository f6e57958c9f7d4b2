// Which file of tests is begun when. Left to their size, the longest would come last, one worker with it and the others without any.
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Those that take more than half a minute, the longest first. */
const first = [
  'races/isolation',
  'races/kill-under-load',
  'races/budgets',
  'simulation/defects',
  'end-to-end/kill',
  'simulation/simulation',
  'end-to-end/schemathesis',
  'providers/containers-conformance',
  'console/console',
  'providers/lives',
  'end-to-end/webhooks',
  'end-to-end/training',
  'functions/hostile',
  'infra/quickstart',
  'jobs/custom-runner',
  'end-to-end/main-job',
  'console/results',
]
/** The cluster that these share starts with the first of them, and works until the end. */
const last = [
  'providers/kubernetes/lives',
  'providers/kubernetes/tencent',
  'providers/kubernetes/conformance',
  'providers/kubernetes/',
]

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => placeOf(a) - placeOf(b))
  }
}

/** Below 0: among the first; 0: wherever its size puts it. */
function placeOf({ moduleId }: TestSpecification): number {
  const [begins, ends] = [first, last].map((names) =>
    names.findIndex((name) => moduleId.includes(`/test/${name}`)),
  )
  if (begins !== undefined && begins >= 0) return begins - first.length
  return (ends ?? -1) + 1
}
