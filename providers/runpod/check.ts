// What an account can do, found out without spending: what is missing, and what to do.
import type { ProviderError } from '../errors.ts'
import type { Check } from '../provider.ts'
import type { Api, Standing } from './api.ts'
import { offersOf } from './offers.ts'
import type { RunpodProviderOptions } from './options.ts'

/** No pod has this id: to be told so is to have the right to end pods, and ends none. */
const nobody = 'berthcheck0000'

export async function checksOf(
  api: Api,
  options: RunpodProviderOptions,
  signal: AbortSignal,
): Promise<Check[]> {
  let standing: Standing | null = null
  const key = await checkOf('key', async () => {
    ;({ standing } = await api.podsAndStanding(signal))
    return good('RunPod takes it')
  })
  if (!key.ok || standing === null) return [key]
  return [
    key,
    await checkOf('rights', async () => {
      await api.terminate(nobody, signal).catch((error: ProviderError) => {
        if (error.code !== 'not_found') throw error
      })
      return good('the key may make and end pods')
    }),
    await checkOf('registries', async () => {
      await api.registries(signal)
      return good('the key may read credentials of registries')
    }),
    await checkOf('offers', async () => {
      const offers = offersOf(await api.quotes(signal), options)
      const [cheapest] = offers.filter(({ available }) => available !== 0).map((each) => each.usd_per_hour)
      if (offers.length === 0)
        return bad('nothing is offered: name other clouds, data_centers or gpu_counts in the settings')
      return good(`${offers.length}, ${cheapest === undefined ? 'none in stock now' : 'some in stock now'}`)
    }),
    balance(standing),
    limit(standing),
    transport(options),
  ]
}

/** A pod needs an hour's worth. */
const least_usd = 1

function balance({ balance_usd }: Standing): Check {
  const name = 'balance'
  if (balance_usd === null)
    return { name, ...good('REST v2 does not tell it: see https://console.runpod.io/user/billing') }
  if (balance_usd < least_usd)
    return {
      name,
      ...bad(
        `${balance_usd.toFixed(2)} USD: add credit, for a pod needs that of an hour, and at 0 RunPod ends all pods`,
      ),
    }
  return { name, ...good(`${balance_usd.toFixed(2)} USD`) }
}

function limit({ spend_usd_per_hour, spend_limit_usd_per_hour }: Standing): Check {
  const name = 'spend limit'
  if (spend_limit_usd_per_hour === null || spend_usd_per_hour === null)
    return { name, ...good('it is not told; RunPod sets 80 USD an hour') }
  const said = `${spend_usd_per_hour.toFixed(2)} of ${spend_limit_usd_per_hour} USD an hour`
  if (spend_limit_usd_per_hour > 0 && spend_usd_per_hour >= spend_limit_usd_per_hour)
    return { name, ...bad(`${said}: end pods, or ask RunPod for a higher limit`) }
  return { name, ...good(said) }
}

function transport({ transport: used }: RunpodProviderOptions): Check {
  const detail =
    used === 'graphql'
      ? 'graphql, which RunPod retires early in 2027: then set it to rest'
      : 'rest: interruptible pods are not offered, for REST v2 has none; graphql has, until early in 2027'
  return { name: 'transport', ...good(detail) }
}

const good = (detail: string) => ({ ok: true, detail })
const bad = (detail: string) => ({ ok: false, detail })

async function checkOf(name: string, ask: () => Promise<{ ok: boolean; detail: string }>): Promise<Check> {
  try {
    return { name, ...(await ask()) }
  } catch (error) {
    const { code, detail } = error as ProviderError
    const todo: Partial<Record<typeof code, string>> = {
      unauthorized:
        name === 'key'
          ? 'make a key in the settings of the console, and give it to this account'
          : 'give the key Read/Write on the APIs, not Read Only',
      throttled: 'ask again in a minute',
      unavailable:
        'see that this server reaches api.runpod.io; transport graphql ends early in 2027, and rest stays',
      unknown_outcome: 'see that the key has Read/Write on the APIs, not Read Only, and ask again',
    }
    return { name, ok: false, detail: `${detail}: ${todo[code] ?? 'see what RunPod says of it'}` }
  }
}
