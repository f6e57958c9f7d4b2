// The accounts of one seed: who boots at their machines, and the blows that hit them.
import { createModelCloud, type Machine, type ModelCloud } from '../fakes/model-cloud.ts'
import { alpha, beta } from './accounts.ts'
import type { Draw } from './draw.ts'
import type { FaultPlan } from './faults.ts'
import type { Runner } from './runner.ts'
import type { World } from './world.ts'

export function openClouds(
  world: World,
  draw: Draw,
  plan: FaultPlan,
  boot: (cloud: () => ModelCloud, machine: Machine) => Runner,
): ModelCloud[] {
  const { scheduler } = world
  return [alpha(plan.cloud), beta(plan.cloud)].map((account) => {
    const chance = draw.fork(`cloud ${account.name}`)
    const runners = new Map<Machine, Runner>()
    const cloud: ModelCloud = createModelCloud(
      {
        now_ms: scheduler.now_ms,
        sleep: (ms, label) => scheduler.sleep(null, ms, label),
        chance: chance.chance,
        between: chance.between,
        trace: scheduler.trace,
        ProviderError: world.code.ProviderError,
      },
      account,
      {
        called: (request, token) => world.monitor.called(request, token),
        created: (machine) => world.monitor.created(machine),
        booted: (machine) =>
          void runners.set(
            machine,
            boot(() => cloud, machine),
          ),
        noticed: (machine) => runners.get(machine)?.notice(),
        stopping: () => undefined,
        ended: (machine) => {
          // A report may come after its machine has gone, but not after it was taken away.
          const runner = runners.get(machine)
          if (runner && machine.why !== 'exited') runner.owner.dead = true
        },
      },
      () => Buffer.from(chance.bytes(4)).toString('hex'),
    )
    return cloud
  })
}

export function scheduleBlows({ scheduler, clouds }: World, plan: FaultPlan, draw: Draw): void {
  for (const { at_ms, blow, account, lasts_ms } of plan.blows)
    scheduler.later(at_ms, `blow: ${blow}`, () => {
      const cloud = clouds[account]
      if (!cloud) return
      const until = scheduler.now_ms() + lasts_ms
      scheduler.trace(`${cloud.account.name} is hit: ${blow} for ${Math.round(lasts_ms / 1_000)} s`)
      if (blow === 'down') cloud.down_until(until)
      if (blow === 'blind') cloud.blind_until(until)
      if (blow === 'vanish')
        for (const machine of cloud.machines)
          if (machine.to_ms === null && draw.chance(0.6)) cloud.vanish(machine)
    })
}
