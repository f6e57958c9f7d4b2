import type { ProviderTraits } from '../providers/provider.ts'

/** Of an account that is not configured any more: it cannot be asked, and nothing is concluded from that. */
export const unknownTraits: ProviderTraits = {
  runs_images: false,
  launch_token: false,
  inspect_batch: 1,
  list_lag_ms: 3_600_000,
  boot_s: 60,
  boot_bound_s: 3_600,
  min_billing_s: 0,
  dead_man_min_s: 0,
  calls_per_s: 1,
  billing: 'modelled',
}
