import { v7 } from 'uuid'
import { TypeID } from 'typeid-js'
import { expect, test } from 'vitest'
import { runConformance } from '../../../providers/conformance/run.ts'
import { noKube } from '../../support/kube-binary.ts'
import { kubeCluster } from '../../support/kube.ts'
import { kubernetesSubject } from '../../support/kube-subject.ts'

/** A bound against a hang: eighty cases take a second each. */
const suite_ms = 15 * 60_000

test('the adapter keeps every promise on a real Kubernetes API', { timeout: suite_ms }, async (context) => {
  if (noKube) return context.skip(noKube)
  const report = await runConformance(kubernetesSubject(await kubeCluster()), {
    signal: context.signal,
    log: () => undefined,
    attemptId: () => TypeID.fromUUID('att', v7()).toString(),
  })
  expect(report.cases.filter(({ outcome }) => outcome === 'failed')).toEqual([])
  // A cluster sells no stock, bills nothing, and its lists do not lag.
  expect(report.cases.flatMap(({ name, outcome }) => (outcome === 'skipped' ? [name] : []))).toEqual([
    'a launch repeated while lists lag starts nothing new',
    'nothing is billed after the end',
    'launch answered by capacity: capacity',
    'launch answered by balance: balance',
  ])
})
