// A job for people.
import type { Job } from './client.ts'
import type { Io } from './io.ts'
import { duration, harmless, oneLine, paint, type Style, usd, write } from './text.ts'

/** Of a program's last words as many lines as fit below the error. */
const tailLines = 15
const maxShownResult_characters = 400

const styles = {
  queued: 'dim',
  scheduled: 'dim',
  running: 'bold',
  cancelling: 'yellow',
  succeeded: 'green',
  failed: 'red',
  cancelled: 'yellow',
} as const satisfies Record<Job['state'], Style>

export const stateText = (io: Io, state: Job['state']) => paint(io, io.stdout, styles[state], state)

export async function printJob(io: Io, job: Job): Promise<void> {
  const rows: [string, string][] = [
    ['state', `${stateText(io, job.state)}${progressOf(job)}`],
    ['kind', oneLine(job.kind)],
    ...(job.name === null ? [] : [['name', oneLine(job.name)] satisfies [string, string]]),
    ['created', job.created_at],
    ...(job.started_at === null ? [] : [['took', tookOf(job, job.started_at)] satisfies [string, string]]),
    ['cost', `${usd(job.cost.actual_usd)}${job.cost.final ? '' : ' so far'} (${job.cost.basis})`],
    ...Object.entries(job.labels).map(([name, value]): [string, string] => [
      'label',
      oneLine(`${name}=${value}`),
    ]),
    ...job.attempts.map((attempt): [string, string] => ['attempt', oneLine(attemptText(attempt))]),
    ...job.warnings.map(({ code, message }): [string, string] => [
      'warning',
      `${oneLine(message)} (${oneLine(code)})`,
    ]),
  ]
  const text = rows.map(([name, value]) => `  ${name.padEnd(8)} ${value}\n`).join('')
  await write(io.stdout, `${job.id}\n${text}${errorText(job)}${resultText(job)}`)
}

function progressOf(job: Job): string {
  if (job.state !== 'running') return ''
  return ` ${Math.floor(job.progress * 100)} %${job.phase ? ` ${oneLine(job.phase)}` : ''}`
}

function tookOf(job: Job, started_at: string): string {
  const end = job.finished_at === null ? Date.now() : Date.parse(job.finished_at)
  return duration(end - Date.parse(started_at))
}

function attemptText(attempt: Job['attempts'][number]): string {
  const { number, shard, provider, region, offer, device, state, outcome, exit_code } = attempt
  const end = outcome === null ? state : outcome + (exit_code === null ? '' : ` (exit code ${exit_code})`)
  return `${shard}.${number} ${provider} ${region} ${offer} ${device ?? ''} ${end}`.replaceAll(/ +/g, ' ')
}

function errorText({ error }: Job): string {
  if (error === null) return ''
  const tail = harmless(error.log_tail ?? '')
    .trimEnd()
    .split('\n')
    .slice(-tailLines)
  const lines = [
    `  error    ${oneLine(error.message)} (${error.code}, by ${error.where}${error.exit_code === null ? '' : `, exit code ${error.exit_code}`})`,
    ...(error.hint === null ? [] : [`  hint     ${oneLine(error.hint)}`]),
    ...(error.log_tail ? ['  its last lines:', ...tail.map((line) => `    ${line}`)] : []),
  ]
  return `${lines.join('\n')}\n`
}

function resultText({ id, result }: Job): string {
  if (result === null) return ''
  const text = oneLine(bestOf(result) ?? testedOf(result) ?? JSON.stringify(result))
  const shown =
    text.length > maxShownResult_characters ? `${text.slice(0, maxShownResult_characters)}…` : text
  return `  result   ${shown}\n  whole    berth result ${id}\n`
}

/** The best of a search, with how many were tried: alone it would look better than it is. */
function bestOf(result: Job['result']): string | null {
  const { best, points } = result as {
    best?: { objective?: unknown; parameters?: unknown }
    points?: unknown
  }
  if (typeof best?.objective !== 'number') return null
  const tried = typeof points === 'number' ? ` of ${points} tried` : ''
  return `best${tried}: objective ${best.objective.toPrecision(4)}, ${JSON.stringify(best.parameters ?? {})}`
}

/** What a model is worth on rows that it had not seen, never the metrics that chose it. */
function testedOf(result: Job['result']): string | null {
  const { metrics } = result as { metrics?: { test?: { overall?: Record<string, unknown> } } }
  const figures = Object.entries(metrics?.test?.overall ?? {}).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number',
  )
  if (figures.length === 0) return null
  return `out of fold: ${figures.map(([name, value]) => `${name} ${value.toPrecision(4)}`).join(', ')}`
}
