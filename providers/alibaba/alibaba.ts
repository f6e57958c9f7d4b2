// Runs attempts on instances of Alibaba Cloud ECS: one machine each, which boots a small program (boot.sh) that fetches what it is to
// run from Berth, runs it as a container, and releases the machine.
import type { Found, Provider } from '../provider.ts'
import { type Api, openApi } from './api.ts'
import { checksOf } from './check.ts'
import { helpersOf } from './helpers.ts'
import { type Instance, instancesOf, observe, tagOf, tags } from './instances.ts'
import { launch } from './launch.ts'
import { allOffers, callsOf, type Prices } from './offers.ts'
import type { AlibabaProviderOptions } from './options.ts'
import { stop } from './stop.ts'
import { tail } from './tail.ts'
import { readProgram } from './user-data.ts'

const traits = {
  runs_images: true,
  launch_token: true, // ClientToken
  inspect_batch: 100,
  list_lag_ms: 60_000, // seconds, as a rule; how long at most is not documented
  boot_s: 180,
  boot_bound_s: 1_200, // images of several GB, and families whose machines take minutes
  min_billing_s: 0,
  dead_man_min_s: 1_800, // AutoReleaseTime
  calls_per_s: 10, // quotas are per API and minute, and are told by Quota Center alone
  billing: 'billed',
} as const

export function createAlibabaProvider(options: AlibabaProviderOptions): Provider {
  const api: Api = openApi(options)
  const prices: Prices = new Map()
  const asker = { api, options, prices, program: readProgram() }
  return {
    name: 'alibaba',
    account: options.account,
    traits: { ...traits, offer_calls: callsOf(options) },
    check: (signal) => checksOf(asker, signal),
    offers: (signal, missing) => allOffers(asker, signal, missing),
    launch: (request, secrets, signal) => launch(asker, request, secrets, signal),
    inspect: (refs, signal) => observe(asker, refs, signal),
    stop: (ref, signal) => stop(asker, ref, signal),
    async *list(signal): AsyncIterable<Found> {
      for (const each of await instancesOf(asker, null, signal)) yield foundOf(each)
      yield* await helpersOf(asker, signal)
    },
    tail: (ref, signal) => tail(asker, ref, signal),
  }
}

/** One that is stopped, too: it is billed until it is released. */
function foundOf(instance: Instance): Found {
  const { instanceId = '', instanceName, creationTime } = instance
  const usd_per_hour = Number(tagOf(instance, tags.price))
  return {
    name: instanceName ?? instanceId,
    attempt_id: tagOf(instance, tags.attempt) ?? null,
    handle: { instance: instanceId },
    usd_per_hour: Number.isFinite(usd_per_hour) ? usd_per_hour : 0,
    since: timeOf(creationTime),
  }
}

/** ECS tells it without seconds: `2026-11-22T07:27Z`. */
const timeOf = (text: string | undefined): string | null => {
  const at_ms = Date.parse(text ?? '')
  return Number.isNaN(at_ms) ? null : new Date(at_ms).toISOString()
}
