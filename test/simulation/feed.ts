// The feed as a client reads it at the end: every event once, and those of a job in their order.
import type { FeedEvent } from '../../jobs/feed.ts'
import type { World } from './world.ts'

const pageSize = 50
const maxPages = 1_000

export async function wholeFeed({ ask, db, violated }: World): Promise<void> {
  const shown: FeedEvent[] = []
  let after: string | null = ''
  for (let page = 0; page < maxPages && after !== null; page++) {
    const answer = await ask(`/v1/events?limit=${pageSize}&after=${after}`)
    shown.push(...(answer.body['items'] as FeedEvent[]))
    after = answer.body['next_cursor'] as string | null
  }
  const events = await db.selectFrom('events').select(['job_id', 'sequence']).execute()
  const told = new Set(shown.map(({ id }) => id))
  if (shown.length !== events.length || told.size !== events.length)
    violated(`the feed has ${shown.length} events, ${told.size} of them once, and there are ${events.length}`)
  const last = new Map<string, number>()
  for (const { job_id, sequence } of shown) {
    if (job_id === null) continue
    if (sequence !== (last.get(job_id) ?? 0) + 1)
      violated(`the feed has event ${sequence} of ${job_id} after event ${last.get(job_id) ?? 0}`)
    last.set(job_id, sequence)
  }
}
