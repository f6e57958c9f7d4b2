// Who follows the feeds of projects in this process: each project's newest events are read once for all of them.
import { type Deps, topics } from './deps.ts'
import { AppError } from './errors.ts'
import { type FeedEvent, type Place, readFeed } from './feed.ts'

/** Streams of one process: each holds a connection and, measured, 120 KiB. */
const maxFollowers = 5_000
/** A reader that is further behind than this reads from the database. */
const kept = 1_000
const page = 500
/** Without a wake this often: what a commit of another process costs in latency whose nudge was lost. */
const poll_ms = 1_000
/** Events that wait for a transaction that began before them: those take milliseconds. */
const held_ms = 20

/** An event as it is streamed: written out once for all who follow. */
export interface Written {
  id: string
  event: string
  data: string
}

export interface Follower {
  /** What there is after a place; nothing: it has been given all. */
  next: (after: Place) => Promise<{ messages: Written[]; place: Place }>
  /** Resolves when there may be more than at the last look, after some time, or when the signal aborts. */
  wait: (ms: number, signal: AbortSignal) => Promise<void>
  leave: () => void
}

export interface Followers {
  /** Throws AppError busy. */
  join: (project_id: string) => Follower
}

/** What the followers of one project share. */
interface Channel {
  followers: number
  /** Everything after it and up to `to` is in `recent`; null: nobody has come to the end yet. */
  from: Place | null
  to: Place | null
  recent: Written[]
  places: Place[]
}

export function createFollowers(deps: Pick<Deps, 'db' | 'waker' | 'log' | 'gather'>): Followers {
  if (deps.gather === null) return { join: (project_id) => followAlone(deps, project_id) }
  const channels = new Map<string, Channel>()
  let count = 0
  let reading = false

  const follow = async () => {
    reading = true
    while (channels.size > 0) {
      let held = false
      for (const [project_id, channel] of channels) held = (await advance(deps, project_id, channel)) || held
      await deps.waker.wait(topics.events, held ? held_ms : poll_ms)
    }
    reading = false
  }

  return {
    join(project_id) {
      if (count >= maxFollowers)
        throw new AppError('busy', 'Too many streams are open: read pages instead, or try again later.', {
          headers: { 'Retry-After': '30' },
        })
      count++
      const channel = channels.get(project_id) ?? newChannel()
      channels.set(project_id, channel)
      channel.followers++
      if (!reading) void follow()
      // Up to where all had been read when this one looked; its own place may be before it with nothing between.
      let seen: Place | null = null
      return {
        next(after) {
          seen = channel.to
          return nextOf(deps, project_id, channel, after)
        },
        async wait(ms, signal) {
          if (channel.to === seen) await deps.waker.wait(topics.feed(project_id), ms, signal)
        },
        leave() {
          count--
          if (--channel.followers === 0) channels.delete(project_id)
        },
      }
    },
  }
}

/** Where no request may read for another, each reads for itself. */
function followAlone(deps: Pick<Deps, 'db' | 'waker'>, project_id: string): Follower {
  return {
    async next(after) {
      const { events, place } = await readFeed(deps, project_id, after, page)
      return { messages: events.map(write), place }
    },
    wait: (ms, signal) => deps.waker.wait(topics.feed(project_id), ms, signal),
    leave: () => undefined,
  }
}

const newChannel = (): Channel => ({
  followers: 0,
  from: null,
  to: null,
  recent: [],
  places: [],
})

/** Reads what is new, for all; answers whether something waits to be shown. */
async function advance(
  deps: Pick<Deps, 'db' | 'waker' | 'log'>,
  project_id: string,
  channel: Channel,
): Promise<boolean> {
  if (channel.to === null) return false
  try {
    let held = false
    for (let full = true; full;) {
      const found = await readFeed(deps, project_id, channel.to, page)
      held = found.held
      full = found.events.length === page
      append(channel, found)
      if (found.events.length > 0) deps.waker.wake(topics.feed(project_id))
    }
    return held
  } catch (error) {
    // Those who wait read again on their own, and meet the same.
    deps.log('warn', 'a feed was not read', { error: error instanceof Error ? error.message : 'failed' })
    return false
  }
}

function append(channel: Channel, { events, place }: { events: FeedEvent[]; place: Place }): void {
  if (events.length === 0) return
  channel.recent.push(...events.map(write))
  channel.places.push(...events.map(({ id }) => placeOf(id)))
  channel.to = place
  const over = channel.recent.length - kept
  if (over > 0) {
    channel.from = channel.places[over - 1] ?? channel.from
    channel.recent.splice(0, over)
    channel.places.splice(0, over)
  }
}

async function nextOf(
  deps: Pick<Deps, 'db'>,
  project_id: string,
  channel: Channel,
  after: Place,
): Promise<{ messages: Written[]; place: Place }> {
  if (channel.from && channel.to && !isBefore(after, channel.from)) {
    const first = channel.places.findIndex((place) => isBefore(after, place))
    return first < 0
      ? { messages: [], place: after }
      : { messages: channel.recent.slice(first), place: channel.to }
  }
  const found = await readFeed(deps, project_id, after, page)
  // The first that has come to the end is where the others are read for.
  if (found.events.length < page && channel.to === null) {
    channel.from = found.place
    channel.to = found.place
  }
  return { messages: found.events.map(write), place: found.place }
}

const write = (event: FeedEvent): Written => ({
  id: event.id,
  event: event.type,
  data: JSON.stringify(event),
})

/** A place of the same life; a follower of an older one is refused when it comes again. */
const isBefore = (a: Place, b: Place) => a.xid < b.xid || (a.xid === b.xid && a.id < b.id)

function placeOf(id: string): Place {
  const [epoch = 0, xid = 0, number = 0] = id.split('-').map(Number)
  return { epoch, xid, id: number }
}
