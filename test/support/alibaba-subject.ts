// The ECS adapter for the conformance suite. Its machines release themselves when their work has ended.
import {
  type BackEnd,
  type Call,
  requestFor,
  type Subject,
  type World,
} from '../../providers/conformance/subject.ts'
import type { Offer } from '../../providers/provider.ts'
import { billOf, type FakeInstance, isGone } from '../fakes/alibaba-machines.ts'
import { key } from '../fakes/alibaba.ts'
import type { WireRequest } from '../fakes/wire.ts'
import { type FakeEcs, installation, openFakeEcs, openProvider } from './alibaba-account.ts'

/** Where a case waits for the end of it, it is short. */
const [call_ms, hurried_ms] = [20_000, 1_000]

/** `reclaims`: machines can be taken back. ECS tells of it while one is there, and not of one that has gone. */
export const alibabaSubject = (reclaims = false): Subject => ({
  name: 'alibaba',
  open: () => openWorld(reclaims),
})

async function openWorld(reclaims: boolean): Promise<World> {
  const ecs = await openFakeEcs()
  const { state } = ecs
  let most_ms = call_ms
  const provider = () => openProvider(ecs, { call_ms: most_ms })
  const offers = await provider().offers(AbortSignal.timeout(30_000))
  const offer = offers.find(({ spot, gpu }) => spot && gpu) as Offer
  const registry = {
    server: 'registry.example.test',
    username: 'robot',
    password: 'the-password-of-the-robot',
  }
  return {
    provider,
    request: (attempt_id) =>
      requestFor(attempt_id, offer, {
        installation,
        image: 'registry.example.test/runner@sha256:0',
        deadline_at: new Date(state.now_ms + 3_600_000).toISOString(),
      }),
    secrets: [key.secret, registry.password],
    pass: (ms) => Promise.resolve(void (state.now_ms += ms)),
    patience_ms: 120_000,
    back: {
      ...backEnd(ecs),
      registry,
      hurry: () => (most_ms = hurried_ms),
      ...(reclaims && { end: { preempted: reclaimed(ecs) } }),
    },
    close: ecs.close,
  }
}

const actionOf = ({ headers }: WireRequest) => String(headers['x-acs-action'])
const does: Record<Call, (request: WireRequest) => boolean> = {
  launch: (request) => actionOf(request) === 'RunInstances',
  stop: (request) => actionOf(request) === 'DeleteInstance',
  inspect: (request) => actionOf(request) === 'DescribeInstances' && request.query.has('InstanceIds'),
  list: (request) => actionOf(request) === 'DescribeInstances' && request.query.has('InstanceName'),
  offers: (request) => actionOf(request) === 'DescribeAvailableResource',
}

/** Four of the five minutes of its notice are over. */
const reclaimed =
  ({ state }: FakeEcs) =>
  (attempt_id: string): Promise<void> => {
    for (const each of state.instances.values())
      if (each.tags.get('berth:attempt') === attempt_id) each.reclaimed_ms = state.now_ms - 240_000
    return Promise.resolve()
  }

/** Of an account whose machines can be taken back. */
export const backOfEcs = (ecs: FakeEcs): BackEnd => ({
  ...backEnd(ecs),
  end: { preempted: reclaimed(ecs) },
})

function backEnd(ecs: FakeEcs): BackEnd {
  const { state, wire } = ecs
  const of = (attempt_id: string): FakeInstance[] =>
    [...state.instances.values()].filter(({ tags }) => tags.get('berth:attempt') === attempt_id)
  const change = (attempt_id: string, by: Partial<FakeInstance>): Promise<void> => {
    for (const each of of(attempt_id)) Object.assign(each, by)
    return Promise.resolve()
  }
  return {
    things: (attempt_id) =>
      Promise.resolve(of(attempt_id).filter((each) => !isGone(each, state.now_ms)).length),
    fail(call, fault, after) {
      wire.spoil(does[call], fault, after)
      return true
    },
    calm: wire.calm,
    loseAnswer: (call) => wire.lose(does[call]),
    hide: (ms) => (state.lag_ms = ms),
    vanish: (attempt_id) => change(attempt_id, { gone_ms: state.now_ms }),
    finish: (attempt_id) => change(attempt_id, { gone_ms: state.now_ms + 3_000 }),
    no_exit_codes: true,
    async foreign() {
      const machines = [
        {
          name: 'berth-4q7k2m-another',
          tags: new Map([
            ['berth:installation', '4q7k2manother'],
            ['berth:attempt', 'att_of_another'],
          ]),
        },
        { name: 'web-1', tags: new Map<string, string>() },
      ]
      for (const [at, each] of machines.entries()) {
        const common = {
          id: `i-foreign${at}`,
          type: 'ecs.g7.large',
          zone: 'cn-hangzhou-i',
          user_data: '',
          console: '',
        }
        const times = {
          created_ms: state.now_ms,
          shown_ms: 0,
          release_ms: Infinity,
          down_ms: null,
          gone_ms: null,
        }
        const rest = { parameters: new Map<string, string>(), reclaimed_ms: null, fails: false }
        await Promise.resolve(state.instances.set(common.id, { ...common, ...times, ...rest, ...each }))
      }
      const disk = { id: 'd-foreign', tags: new Map([['berth:installation', 'another']]), created_ms: 0 }
      state.disks.set(disk.id, disk)
    },
    helper() {
      const disk = {
        id: 'd-bp1left',
        tags: new Map([['berth:installation', installation]]),
        created_ms: state.now_ms,
      }
      state.disks.set(disk.id, disk)
      return Promise.resolve(disk.id)
    },
    pages: (size) => (state.page = size),
    calls: wire.count,
    deadMan: (attempt_id) => Promise.resolve(new Date(of(attempt_id)[0]?.release_ms ?? 0)),
    bill: (attempt_id) =>
      Promise.resolve(of(attempt_id).reduce((sum, each) => sum + billOf(each, state.now_ms), 0)),
    async print(attempt_id, text) {
      for (const each of of(attempt_id)) each.console += text
      await Promise.resolve()
    },
    stranger: () => openProvider(ecs, { access_key_secret: 'a-secret-of-nobody' }),
    // More would show nothing new: pages are tried by small ones.
    crowd: 60,
  }
}
