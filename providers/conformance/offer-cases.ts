// Offers and traits are what placement and the pass can work with.
import type { Offer, ProviderTraits } from '../provider.ts'
import { type Bench, type Case, defineCase, must, mustEqual, show } from './bench.ts'

export const offerCases: Case[] = [
  defineCase('offers are well-formed', [], async (bench) => {
    const offers = await bench.provider.offers(bench.signal)
    must(offers.length > 0, 'there is none')
    for (const offer of offers) {
      const wrong = wrongIn(bench, offer)
      must(wrong === null, `${wrong} of offer ${show(offer)}`)
    }
    const keys = offers.map(keyOf)
    mustEqual(new Set(keys).size, keys.length, 'offers of different id, region and market')
  }),

  defineCase('offers keep their ids, and a request is for one of them', [], async (bench) => {
    const keys = async () => (await bench.provider.offers(bench.signal)).map(keyOf).toSorted()
    const first = await keys()
    mustEqual(await keys(), first, 'offers asked for again')
    const { offer } = await bench.world.request(bench.newId())
    must(first.includes(keyOf(offer)), `the request’s offer ${keyOf(offer)} is not one of them`)
  }),

  defineCase('devices are parts of offers', [], async (bench) => {
    const { provider } = bench
    if (!provider.devices) return { skipped: 'the adapter tells of no devices' }
    const offers = (await provider.offers(bench.signal)).map(({ id, region }) => `${region} ${id}`)
    for (const device of await provider.devices(bench.signal))
      must(offers.includes(`${device.region} ${device.offer}`), `${show(device)} is part of no offer`)
    return
  }),

  defineCase('traits are figures that can be kept', [], async (bench) => {
    const { traits } = bench.provider
    for (const name of amounts)
      must(Number.isFinite(traits[name]) && traits[name] >= 0, `${name}: saw ${show(traits[name])}`)
    must(
      Number.isInteger(traits.inspect_batch) && traits.inspect_batch >= 1,
      `inspect_batch: saw ${traits.inspect_batch}`,
    )
    must(traits.calls_per_s > 0, 'calls_per_s is 0: nothing could ever be asked')
    must(traits.boot_bound_s >= traits.boot_s, 'boot_bound_s is less than boot_s')
    must(traits.boot_bound_s * 1_000 > traits.list_lag_ms, 'boot_bound_s is within the list lag')
  }),
]

const amounts = [
  'inspect_batch',
  'list_lag_ms',
  'boot_s',
  'boot_bound_s',
  'min_billing_s',
  'dead_man_min_s',
  'calls_per_s',
] satisfies (keyof ProviderTraits)[]

const keyOf = ({ id, region, spot }: Offer) => `${region} ${id} ${spot ? 'spot' : 'on demand'}`

/** The first field that is not as the contract has it. */
function wrongIn({ provider }: Bench, offer: Offer): string | null {
  const { id, region, gpu, available, slots, price } = offer
  const isCount = (value: number | null) => value === null || (Number.isInteger(value) && value >= 0)
  const isAmount = (value: number, least: number) => Number.isFinite(value) && value >= least
  const fields: Record<string, boolean> = {
    id: id !== '',
    region: region !== '',
    provider: offer.provider === provider.name,
    account: offer.account === provider.account,
    usd_per_hour: isAmount(offer.usd_per_hour, 0),
    cpu: isAmount(offer.cpu, 0) && offer.cpu > 0,
    memory_gib: isAmount(offer.memory_gib, 0) && offer.memory_gib > 0,
    disk_gib: isAmount(offer.disk_gib, 0),
    available: isCount(available),
    slots: isCount(slots),
    'gpu.model': gpu === null || gpu.model !== '',
    'gpu.count': gpu === null || (Number.isInteger(gpu.count) && gpu.count >= 1),
    'gpu.memory_gib': gpu === null || isAmount(gpu.memory_gib, 0),
    'gpu.compute_capability':
      !gpu || gpu.compute_capability === null || /^\d+\.\d+$/.test(gpu.compute_capability),
    'price.at': !price || price.at === null || !Number.isNaN(Date.parse(price.at)),
  }
  return Object.keys(fields).find((name) => !fields[name]) ?? null
}
