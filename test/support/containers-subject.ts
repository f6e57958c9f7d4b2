// The containers adapter as the conformance suite sees it: on a fake engine that breaks on demand, and on a real one.

import { setTimeout as sleep } from 'node:timers/promises'
import {
  type BackEnd,
  type Call,
  type Fault,
  requestFor,
  type Subject,
  type World,
} from '../../providers/conformance/subject.ts'
import type { LaunchRequest, Provider } from '../../providers/provider.ts'
import { type Break, type FakeEngine, openFakeEngine } from '../fakes/engine.ts'
import { containersProvider, installation } from './containers-world.ts'
import { busyboxImage, type ContainerEngine } from './podman.ts'

const image = 'ghcr.io/desk/model@sha256:34a8a6b7f06afc652f2902c6fe33debe23f96b341119d81b2541e7ec0ad43576'
const registry = { server: 'ghcr.io', username: 'desk', password: 'the-password-of-the-registry' }
/** A machine with other work to do can take seconds to answer; where a case waits for the end of it, it is short. */
const [usual_ms, hurried_ms] = [30_000, 300]

/** The call of the engine that does the work. */
const work: Record<Call, RegExp> = {
  launch: /^POST \/containers\/create/,
  stop: /^DELETE \/containers/,
  inspect: /^GET \/containers\/json/,
  list: /^GET \/containers\/json/,
  offers: /^GET \/info/,
}

/** As Docker says it; a fault without an entry is nothing that it says. */
function breakOf(fault: Fault): Break | 'echo' | null {
  const said = (status: number, message: string) => ({ status, body: JSON.stringify({ message }) })
  switch (fault) {
    case 'capacity':
      return said(500, 'mkdir /var/lib/docker/overlay2/1f: no space left on device')
    case 'throttled':
      return said(429, 'too many requests')
    case 'unauthorized':
      return said(403, 'authorization denied by plugin casbin: access denied')
    case 'rejected':
      return said(400, 'range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available')
    case 'server_error':
      return said(500, 'server misbehaving')
    case 'html':
      return { status: 502, body: '<html><h1>502 Bad Gateway</h1></html>', type: 'text/html' }
    case 'malformed':
      return { status: 200, body: 'OK' }
    case 'truncated':
      return { status: 200, body: '[{"Id":"0f1e2d","Na' }
    case 'echo':
    case 'reset':
    case 'hang':
      return fault
    case 'quota':
    case 'balance':
      return null
  }
}

export function fakeContainersSubject(): Subject {
  return { name: 'containers on a fake engine', open: openFake }
}

async function openFake(): Promise<World> {
  const engine = await openFakeEngine()
  engine.images.add(image)
  const denying = await openFakeEngine()
  denying.breakFrom(/./, { status: 403, body: '{"message":"authorization denied by plugin casbin"}' }, 0)
  let patience_ms = usual_ms
  const provider = () => containersProvider({ socket: engine.socket }, { patience_ms })
  return {
    provider,
    request: (attempt_id) => requestOn(provider(), attempt_id, { image }),
    secrets: [registry.password],
    pass: () => sleep(1),
    patience_ms: 5_000,
    back: { ...fakeBackEnd(engine, denying), hurry: () => (patience_ms = hurried_ms) },
    async close() {
      await engine.close()
      await denying.close()
    },
  }
}

function fakeBackEnd(engine: FakeEngine, denying: FakeEngine): BackEnd {
  const of = (attempt_id: string) =>
    [...engine.containers.values()].find(({ labels }) => labels['berth.attempt'] === attempt_id)
  const change = async (attempt_id: string, fields: object) =>
    void Object.assign(of(attempt_id) ?? {}, fields)
  return {
    things: async (attempt_id) => Number(['running', 'created'].includes(of(attempt_id)?.state ?? '')),
    fail(call, fault, after = 0) {
      const how = breakOf(fault)
      if (how === null) return false
      engine.breakFrom(work[call], how, after)
      return true
    },
    calm: () => engine.calm(),
    loseAnswer: (call) => engine.breakNext(work[call], 'lost_answer'),
    async vanish(attempt_id) {
      const name = of(attempt_id)?.name ?? ''
      engine.containers.delete(name)
      engine.volumes.delete(name)
    },
    finish: (attempt_id, exit_code) => change(attempt_id, { state: 'exited', exit_code }),
    end: {
      out_of_memory: (attempt_id) =>
        change(attempt_id, { state: 'exited', exit_code: 137, oom_killed: true }),
    },
    async foreign() {
      const [first] = engine.containers.values()
      const body = first?.body ?? {}
      for (const [name, labels] of [
        ['postgres', {}],
        ['berth-zzzzzz-1', { 'berth.installation': 'zzzzzz', 'berth.attempt': 'att_1' }],
      ] as const) {
        const stranger = {
          created: 1,
          state: 'running',
          exit_code: 0,
          oom_killed: false,
          error: '',
          folders: true,
        } as const
        engine.containers.set(name, { ...stranger, name, labels, body, log: Buffer.alloc(0) })
        engine.volumes.set(name, labels)
      }
    },
    calls: () => engine.calls.length,
    crowd: 40,
    async print(attempt_id, text) {
      const header = Buffer.alloc(8)
      header[0] = 1
      header.writeUInt32BE(text.length, 4)
      await change(attempt_id, { log: Buffer.concat([header, Buffer.from(text)]) })
    },
    stranger: () => containersProvider({ socket: denying.socket }),
    registry,
  }
}

/** What can be done to a real engine without breaking it. */
export const realControls: readonly (keyof BackEnd)[] = ['things', 'vanish', 'finish', 'foreign', 'print']

/** Of an engine that all cases share: each leaves it as it was. */
export function realContainersSubject(engine: ContainerEngine): Subject {
  return { name: 'containers on podman', open: async () => openReal(engine) }
}

/** Does what the suite writes into its folder: prints, and ends with the code. */
const obedient = `trap 'exit 143' TERM
while :; do
  if [ -f say ]; then cat say; rm say; fi
  if [ -f end ]; then exit "$(cat end)"; fi
  sleep 0.05
done`

function openReal(engine: ContainerEngine): World {
  const provider = (): Provider => containersProvider({ socket: engine.socket }, { stop_grace_s: 2 })
  const given = { image: busyboxImage, command: ['sh', '-c', obedient], memory_gib: 0.0625, cpu: 0.1 }
  let isCrowded = false
  const names = new Map<string, string>()
  const nameOf = (attempt_id: string) => names.get(attempt_id) ?? ''
  return {
    provider,
    async request(attempt_id) {
      const request = await requestOn(provider(), attempt_id, given)
      names.set(attempt_id, request.name)
      return request
    },
    secrets: [],
    pass: (ms) => sleep(ms),
    patience_ms: 20_000,
    back: {
      things: async (attempt_id) => engine.running(nameOf(attempt_id)),
      async vanish(attempt_id) {
        engine.podman(['rm', '--force', '--time', '0', nameOf(attempt_id)])
        engine.podman(['volume', 'rm', '--force', nameOf(attempt_id)])
      },
      finish: async (attempt_id, exit_code) => engine.write(nameOf(attempt_id), 'end', String(exit_code)),
      async foreign() {
        isCrowded = true
        engine.podman(['run', '--detach', '--name', 'stranger', busyboxImage, 'sleep', '600'])
        engine.podman(['volume', 'create', '--label', 'berth.installation=zzzzzz', 'stranger'])
      },
      print: async (attempt_id, text) => engine.write(nameOf(attempt_id), 'say', text),
    },
    async close() {
      const killing = containersProvider({ socket: engine.socket }, { stop_grace_s: 0 })
      const signal = new AbortController().signal
      for await (const { handle } of killing.list(signal))
        await killing.stop({ attempt_id: '', handle, request: null }, signal)
      if (!isCrowded) return
      engine.podman(['rm', '--force', '--time', '0', 'stranger'])
      engine.podman(['volume', 'rm', 'stranger'])
    },
  }
}

async function requestOn(
  provider: Provider,
  attempt_id: string,
  given: Partial<LaunchRequest>,
): Promise<LaunchRequest> {
  const [offer] = await provider.offers(new AbortController().signal)
  if (!offer) throw new Error('the engine has no offer')
  return requestFor(attempt_id, offer, { installation, deadline_at: '2026-01-01T02:00:00Z', ...given })
}
