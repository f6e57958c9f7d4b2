// What the domain is told of a configuration, whatever the runtime.
import type { Clock, Deps, Settings } from '../jobs/deps.ts'
import { createRates, type Rates } from '../jobs/rates.ts'
import { newReplicaId } from '../jobs/store/claim.ts'
import type { Config } from './config.ts'
import { proxiesOf } from './proxies.ts'

/** `address`: where the server listens, once that is known. */
export function settingsOf(
  config: Config,
  address: () => string,
  program_version: Settings['program_version'],
): Settings {
  const { max_queued, sse_max_s, local_data_dirs, cache_ttl_s, cache_max_entries, keep_days } = config
  return {
    berth_url: address,
    is_reachable: config.public_url !== null,
    public_url: () => config.public_url ?? address(),
    max_queued,
    sse_max_s,
    local_data_dirs,
    cache_ttl_s,
    cache_max_entries,
    keep_days,
    audit_keep_days: config.audit_keep_days,
    registration: config.registration,
    cors_origins: config.cors_origins,
    is_proxy: proxiesOf(config.trusted_proxies),
    program_version,
    image: (kind) => config.images[kind] ?? null,
  }
}

/** null: nobody is bounded. */
export function ratesOf({ rate_limit }: Config, clock: Clock, random: Deps['random']): Rates | null {
  return rate_limit === null ? null : createRates(clock, rate_limit, newReplicaId(clock, random))
}
