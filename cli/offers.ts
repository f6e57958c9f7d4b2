import type { Command } from 'commander'
import { answered, type Offer } from './client.ts'
import { action, type Context, openClient, printJson, subcommand, wholeNumber } from './command.ts'
import { type ExitCode, exits } from './exit.ts'
import type { Io } from './io.ts'
import { table, write } from './text.ts'

interface Options {
  provider?: string
  region?: string
  gpu?: string
  spot?: true
  free?: true
  maxUsdPerHour?: string
  limit: number
  json?: true
}

/** The server's pages hold at most this many. */
const maxPage = 500
const head = ['PROVIDER', 'REGION', 'OFFER', 'USD/H', 'GPU', 'VRAM', 'CPU', 'GIB', 'STOCK', 'PRICE', 'STATE']

export function addOffers(program: Command, context: Context): void {
  subcommand(program, 'offers', 'what there is to run on, cheapest first')
    .option('--provider <name>', 'of this provider')
    .option('--region <name>', 'in this region')
    .option('--gpu <model>', 'with this GPU, like "RTX 4090"')
    .option('--spot', 'spot alone')
    .option('--free', 'those that would take a launch now')
    .option('--max-usd-per-hour <usd>', 'not dearer')
    .option('--limit <count>', 'at most so many', wholeNumber(1, maxPage), 50)
    .action(action(context, (options: Options) => offers(context.io, options)))
}

async function offers(io: Io, options: Options): Promise<ExitCode> {
  const { provider, region, gpu, spot, free, maxUsdPerHour, limit, json } = options
  const query = {
    limit: String(limit),
    ...(provider === undefined ? {} : { provider }),
    ...(region === undefined ? {} : { region }),
    ...(gpu === undefined ? {} : { gpu }),
    ...(spot ? { spot: 'true' as const } : {}),
    ...(free ? { free: 'true' as const } : {}),
    ...(maxUsdPerHour === undefined ? {} : { max_usd_per_hour: maxUsdPerHour }),
  }
  const page = await answered(openClient(io).v1.offers.$get({ query }))
  if (json) await printJson(io, page)
  else if (page.items.length > 0)
    await write(
      io.stdout,
      table(head, page.items.map(row), { right: ['USD/H', 'VRAM', 'CPU', 'GIB', 'STOCK'] }),
    )
  if (!json && page.next_cursor !== null) await write(io.stderr, 'There are more: --limit, or a filter.\n')
  return exits.ok
}

function row(offer: Offer): string[] {
  const { gpu, slots, running, available } = offer
  const stock = slots === null ? (available === null ? '?' : String(available)) : `${running}/${slots}`
  return [
    `${offer.provider}/${offer.account}`,
    offer.region,
    `${offer.offer}${offer.spot ? ' (spot)' : ''}`,
    String(offer.usd_per_hour),
    gpu === null
      ? ''
      : `${gpu.count > 1 ? `${gpu.count} x ` : ''}${gpu.model}${gpu.unknown ? ' (unknown)' : ''}`,
    gpu === null ? '' : gpu.memory_gib === 0 ? '?' : String(gpu.memory_gib),
    String(offer.cpu),
    String(offer.memory_gib),
    stock,
    priceOf(offer),
    stateOf(offer),
  ]
}

/** Where the price is from and how old it is, and the vendor's own where that is in another currency. */
function priceOf({ price: { source, age_s, currency, per_hour, rate } }: Offer): string {
  const age = age_s === null ? '' : `, ${ageOf(age_s)} old`
  const of = rate?.at ? ` of ${rate.at}` : ''
  const rated = rate === null ? '' : `, ${per_hour} ${currency} at ${rate.per_usd}${of}`
  return `${source ?? '?'}${age}${rated}${rate?.is_old ? ' (old rate)' : ''}`
}

function stateOf({ blocked, stale_since }: Offer): string {
  const stale = stale_since === null ? [] : [`stale since ${stale_since}`]
  return [...(blocked === null ? [] : [`${blocked.reason} until ${blocked.until}`]), ...stale].join(', ')
}

function ageOf(seconds: number): string {
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`
}
