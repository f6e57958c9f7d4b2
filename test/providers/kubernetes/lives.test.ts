// Whole jobs on a real Kubernetes API, by its own adapter and by Tencent's, over a line that breaks and with pods that are evicted and
// vanish. In real time: what the cluster's controllers do when is not seeded. BERTH_LIVES=10 tries as many seeds.
import { beforeEach, expect, test } from 'vitest'
import { noKube } from '../../support/kube-binary.ts'
import { kubeCluster } from '../../support/kube.ts'
import { kubernetesSubject } from '../../support/kube-subject.ts'
import { liveThrough, paced } from '../../support/lives.ts'
import { tencentSubject } from '../../support/tencent-subject.ts'

/** Enough for a step of the controllers. */
const step_ms = 150
const seeds = Array.from({ length: Number(process.env['BERTH_LIVES'] ?? 1) }, (_, each) => each + 1)

beforeEach((context) => {
  if (noKube !== null) context.skip(noKube)
})

test.each(seeds.flatMap((seed) => [['kubernetes', seed] as const, ['tencent', seed] as const]))(
  '%s, seed %i: every job ends once, and nothing is left',
  async (name, seed) => {
    const cluster = await kubeCluster()
    const subject = name === 'tencent' ? tencentSubject(cluster) : kubernetesSubject(cluster)
    const lived = await liveThrough(paced(subject, step_ms), seed)
    expect(lived.violations).toEqual([])
    expect(lived.jobs).toHaveLength(4)
  },
)
