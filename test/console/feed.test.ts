// How the console follows the project's feed, over a network that breaks.
import { expect, test } from 'vitest'
import { type Credentials } from '../../console/api/credential.ts'
import { followFeed } from '../../console/api/feed.ts'

const event = (id: string) => `id: ${id}\nevent: job.queued\ndata: {"id":"${id}"}\n\n`
const stream = (text: string) => new Response(text, { headers: { 'content-type': 'text/event-stream' } })
const broken = () => Promise.reject(new TypeError('the network is gone'))

/** What is told, in order, while the answers last: then the page is closed. */
async function follow(answers: (() => Response | Promise<Response>)[]): Promise<string[]> {
  const told: string[] = []
  const closed = new AbortController()
  const credentials: Credentials = {
    now: () => ({ kind: 'key', key: 'berth_x' }),
    forget: () => told.push('forget'),
    project: () => null,
    useKey: () => undefined,
    useCookie: () => undefined,
    useProject: () => undefined,
    watch: () => () => undefined,
  }
  await followFeed({
    async fetch(input) {
      told.push((input as string).replace('/v1/events?', ''))
      const answer = answers.shift()
      if (answer !== undefined) return await answer()
      closed.abort()
      return await broken()
    },
    credentials,
    signal: closed.signal,
    onEvent: ({ id }) => told.push(id),
    onState: (state) => told.push(state),
    onGap: () => told.push('gap'),
    pause: (ms) => Promise.resolve(void told.push(`${ms} ms`)),
  })
  return told
}

test('a feed goes on after the last event that was seen, and tells of no gap', async () => {
  expect(await follow([() => stream(event('1-1-1') + event('1-2-2')), () => stream(event('1-3-3'))])).toEqual(
    ['after=latest', 'live', '1-1-1', '1-2-2', '250 ms'].concat(
      ['after=1-2-2', 'live', '1-3-3', '250 ms'],
      ['after=1-3-3'],
    ),
  )
})

test('a stream that ends, or is away, before its first event leaves a gap', async () => {
  expect(await follow([() => stream(''), () => stream('')])).toEqual(
    ['after=latest', 'live', '250 ms'].concat(['after=latest', 'live', 'gap', '250 ms'], ['after=latest']),
  )
  expect(await follow([broken, () => new Response('', { status: 503 }), () => stream('')])).toEqual(
    ['after=latest', 'away', '250 ms'].concat(
      ['after=latest', 'away', '500 ms'],
      ['after=latest', 'live', 'gap', '250 ms'],
      ['after=latest'],
    ),
  )
})

test('a place that is no longer kept leaves a gap, and one who may not read is not asked again', async () => {
  const gone = () => new Response('', { status: 410 })
  const refused = () => new Response('', { status: 401 })
  expect(await follow([() => stream(event('1-1-1')), gone, () => stream(''), refused])).toEqual(
    ['after=latest', 'live', '1-1-1', '250 ms'].concat(
      ['after=1-1-1', 'after=latest', 'live', 'gap', '250 ms'],
      ['after=latest', 'forget'],
    ),
  )
})
