// The end of a job's own output, which the awslogs driver has sent to CloudWatch:
// https://docs.aws.amazon.com/batch/latest/userguide/review-job-logs.html
import type { Api } from './api.ts'

const group = '/aws/batch/job'
const tail_bytes = 64 * 1024
/** Of the newest page, which CloudWatch bounds at 1 MiB. */
const lines_most = 2_000

/** Empty where the stream is not there yet: it comes with the first line, seconds later. */
export async function tailOf(api: Api, stream: string, signal: AbortSignal): Promise<string> {
  const input = { logGroupName: group, logStreamName: stream, startFromHead: false, limit: lines_most }
  try {
    const { events = [] } = await api.readLogs('GetLogEvents', signal, (sdk, client, bound) =>
      client.send(new sdk.GetLogEventsCommand(input), bound),
    )
    const text = events.map(({ message = '' }) => `${message}\n`).join('')
    return lastBytes(text)
  } catch (error) {
    if ((error as { code?: string }).code === 'not_found') return ''
    throw error
  }
}

function lastBytes(text: string): string {
  const bytes = Buffer.from(text)
  // A character that is cut in two at the beginning is left out.
  return bytes.length <= tail_bytes
    ? text
    : bytes
        .subarray(-tail_bytes)
        .toString()
        .replace(/^\uFFFD+/, '')
}
