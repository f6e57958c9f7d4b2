// The feed of a project: every event once, none passed over, from any place that a client has kept.
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { type Feed, type FeedRow, type Position, readFeedRows, readFeedState, start } from './store/events.ts'
import type { JsonObject } from './view.ts'

export interface FeedEvent {
  /** Where it stands: what `after` and Last-Event-ID take. */
  id: string
  job_id: string | null
  sequence: number
  type: string
  at: string
  data: JsonObject
}

/** A place in the feed of one life of the database. */
export interface Place extends Position {
  epoch: number
}

/** `after` for who wants only what is to come. */
export const latest = 'latest'

/**
 * The place that a client names; null: the oldest event that is kept. Throws AppError: invalid_cursor, or cursor_expired
 * where events after it may be gone.
 */
export async function findPlace(
  { db, settings }: Pick<Deps, 'db' | 'settings'>,
  project_id: string,
  text: string | null,
): Promise<Place> {
  const feed = await readFeedState(db, project_id)
  if (text === null) return { epoch: feed.epoch, ...start }
  if (text === latest)
    return { epoch: feed.epoch, xid: Math.max(0, feed.settled - 1), id: Number.MAX_SAFE_INTEGER }
  const place = parsePlace(text)
  const why = whyExpired(feed, place, settings.keep_days)
  if (why)
    throw new AppError('cursor_expired', `${why} Leave the cursor out to read all events that are kept.`)
  return place
}

function whyExpired(feed: Feed, place: Place, keep_days: number): string | null {
  if (place.epoch !== feed.epoch || place.xid >= feed.next)
    return 'The database was put back from a copy after this cursor was given.'
  const isBefore = place.xid < feed.floor.xid || (place.xid === feed.floor.xid && place.id < feed.floor.id)
  return isBefore ? `Events after this cursor are gone: they are kept for ${keep_days} days.` : null
}

export const placeText = ({ epoch, xid, id }: Place) => `${epoch}-${xid}-${id}`

function parsePlace(text: string): Place {
  const [, epoch, xid, id] = /^(\d{1,9})-(\d{1,16})-(\d{1,16})$/.exec(text)?.map(Number) ?? []
  if (
    epoch === undefined ||
    xid === undefined ||
    id === undefined ||
    !Number.isSafeInteger(Math.max(xid, id))
  )
    throw new AppError(
      'invalid_cursor',
      `A place in the feed is the id of an event, a next_cursor, or "${latest}".`,
    )
  return { epoch, xid, id }
}

export interface FeedPage {
  events: FeedEvent[]
  /** After the last of them. */
  place: Place
  /** There are more, which wait for what began before them. */
  held: boolean
}

/** Events after a place, at most `limit`. */
export async function readFeed(
  { db }: Pick<Deps, 'db'>,
  project_id: string,
  after: Place,
  limit: number,
): Promise<FeedPage> {
  const { rows, held } = await readFeedRows(db, project_id, after, limit)
  const { epoch } = after
  const last = rows.at(-1)
  return {
    events: rows.map((row) => viewEvent(row, epoch)),
    place: last ? { epoch, xid: last.xid, id: last.id } : after,
    held,
  }
}

const viewEvent = ({ xid, id, ...event }: FeedRow, epoch: number): FeedEvent => ({
  id: placeText({ epoch, xid, id }),
  job_id: event.job_id,
  sequence: event.sequence,
  type: event.type,
  at: event.at.toISOString(),
  data: event.data as JsonObject,
})
