// What processes use, as Linux tells it (proc(5)).
import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks a second in /proc/<pid>/stat: fixed at 100 on every Linux that Node supports. */
const ticks_per_s = 100

/** Processor seconds, user and system, of a process. */
export function cpuSeconds(pid: number): number {
  // Fields 14 and 15, counted after the name, which may hold blanks.
  const fields = statOf(pid)
  return (Number(fields[11]) + Number(fields[12])) / ticks_per_s
}

/** Of a process, its children, and those of them that have ended. */
export function cpuSecondsOfFamily(pid: number): number {
  const children = readdirSync('/proc')
    .map(Number)
    .filter((each) => Number.isInteger(each) && Number(statOf(each)[1]) === pid)
  const ended = statOf(pid)
  const gone_s = (Number(ended[13]) + Number(ended[14])) / ticks_per_s
  return children.reduce((sum, child) => sum + cpuSeconds(child), cpuSeconds(pid) + gone_s)
}

export function residentMib(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Math.round(Number(line?.[1] ?? 0) / 1_024)
}

function statOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  } catch {
    return ['0', '0', ...Array.from({ length: 20 }, () => '0')]
  }
}
