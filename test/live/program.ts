// npm run test:live -- --provider NAME --account FILE: see live.ts. The file is JSON, { settings, credentials }, as
// POST /v1/provider-accounts takes them (docs/contracts.md); keep it out of the repository.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import { typeid } from 'typeid-js'
import { z } from 'zod'
import { vendors } from '../../infra/vendors/vendors.ts'
import { runLive } from './live.ts'

interface Options {
  provider: string
  account: string
  image: string
  offer?: string
  minutes: number
  maxUsd: number
  spend?: true
}

const positive = (text: string): number => {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new InvalidArgumentError('must be a number above 0')
}

const program = new Command('test:live')
  .description('tries one attempt on a real account, and proves that nothing is left of it')
  .requiredOption('--provider <name>', `one of ${Object.keys(vendors).join(', ')}`)
  .requiredOption('--account <file>', 'JSON with settings and credentials of the account')
  .option('--image <image>', 'what runs: it needs sh', 'busybox:stable')
  .option('--offer <id>', 'instead of the cheapest offer')
  .option('--minutes <number>', 'the attempt runs no longer', positive, 15)
  .option('--max-usd <number>', 'nothing is started that could cost more', positive, 0.5)
  .option('--spend', 'start it; without this it says what it would do')
  .argument('[command...]', 'in place of a greeting and a minute of sleep')

program.action(async (command: string[], given: Options) => {
  const vendor = vendors[given.provider]
  if (!vendor) return program.error(`there is no provider ${given.provider}`)
  const file = z.strictObject({ settings: z.unknown(), credentials: z.unknown() })
  const { settings, credentials } = file.parse(JSON.parse(readFileSync(given.account, 'utf8')))
  const installation = randomBytes(8).toString('hex').slice(0, 12)
  const interrupt = new AbortController()
  // What runs is ended first; a second signal ends the program at once.
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupt.abort())
  const provider = await vendor.open({
    account: 'live',
    installation,
    clock: { now: () => new Date() },
    settings: vendor.settings.parse(settings),
    credentials: vendor.credentials.parse(credentials),
  })
  const { ok } = await runLive({
    provider,
    installation,
    attempt_id: typeid('att').toString(),
    token: randomBytes(24).toString('base64url'),
    image: given.image,
    command: command.length > 0 ? command : ['sh', '-c', 'echo hello from berth; sleep 60'],
    offer: given.offer ?? null,
    minutes: given.minutes,
    max_usd: given.maxUsd,
    spend: given.spend ?? false,
    signal: interrupt.signal,
    log: (line) => process.stdout.write(`${line}\n`),
    now: () => new Date(),
    pause: sleep,
  })
  process.exitCode = ok ? 0 : 1
})

await program.parseAsync()
