// Two vendors that differ in everything that matters: launch tokens, list lag, how machines end, what is shown.
import type { CloudAccount, CloudFaults } from '../fakes/model-cloud.ts'
import type { Offer } from '../../providers/provider.ts'

const offer = (provider: string, id: string, more: Partial<Offer>): Offer => ({
  id,
  provider,
  account: 'main',
  region: 'here',
  spot: false,
  usd_per_hour: 0.72,
  gpu: null,
  cpu: 8,
  memory_gib: 32,
  disk_gib: 100,
  available: null,
  slots: null,
  ...more,
})

const gpu = { model: 'L4', count: 1, memory_gib: 24, compute_capability: '8.9' }

/** Containers by a launch token: seen within seconds, ended with their runner. */
export const alpha = (faults: CloudFaults): CloudAccount => ({
  name: 'alpha',
  account: 'main',
  traits: {
    runs_images: false,
    launch_token: true,
    inspect_batch: 20,
    list_lag_ms: 3_000,
    boot_s: 30,
    boot_bound_s: 120,
    min_billing_s: 0,
    dead_man_min_s: 0,
    calls_per_s: 10,
    billing: 'billed',
  },
  offers: [
    offer('alpha', 'small', { slots: 6 }),
    offer('alpha', 'spot', { spot: true, usd_per_hour: 0.36, region: 'there' }),
  ],
  boot_ms: [1_000, 15_000],
  stop_ms: [200, 3_000],
  ends_with_runner: true,
  faults,
})

/** Virtual machines without a token: listed late, stopped slowly, paid for until they are stopped. */
export const beta = (faults: CloudFaults): CloudAccount => ({
  name: 'beta',
  account: 'main',
  traits: {
    runs_images: false,
    launch_token: false,
    inspect_batch: 5,
    list_lag_ms: 45_000,
    boot_s: 45,
    boot_bound_s: 180,
    min_billing_s: 60,
    dead_man_min_s: 0,
    // Launches wait for each other: what was decided is called later, when the lease may be another's.
    calls_per_s: 1,
    billing: 'billed',
  },
  offers: [
    offer('beta', 'vm', { usd_per_hour: 0.9, region: 'east' }),
    // The cheapest, and the only one with a GPU but one: parts of a job that began here stay on GPUs.
    offer('beta', 'spot', { spot: true, usd_per_hour: 0.3, region: 'east', slots: 8, gpu }),
    offer('beta', 'gpu', { usd_per_hour: 0.95, region: 'east', gpu }),
  ],
  boot_ms: [5_000, 60_000],
  stop_ms: [2_000, 30_000],
  ends_with_runner: false,
  faults,
})
