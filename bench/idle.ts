// `npm run bench -- idle [--seconds 60]`: processor time of a server that has nothing to do.
import { openDesk } from '../test/support/desk.ts'
import { type Measurement, option, rounded } from './measurement.ts'
import { cpuSeconds, residentMib } from './support/processes.ts'

export const measure: Measurement = async (options) => {
  const seconds = option(options, 'seconds', 60)
  await using desk = await openDesk()
  const pid = desk.server().child.pid ?? 0
  await new Promise((done) => setTimeout(done, 5_000))
  const before_s = cpuSeconds(pid)
  await new Promise((done) => setTimeout(done, seconds * 1_000))
  const share = (cpuSeconds(pid) - before_s) / seconds
  return {
    figures: { seconds, cpu_percent_of_a_core: rounded(share * 100, 3), resident_mib: residentMib(pid) },
    targets: { cpu_percent_of_a_core: { at_most: 1 } },
  }
}
