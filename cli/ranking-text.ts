// A ranking of offers as a table for people.
import type { Ranking } from './client.ts'
import type { Io } from './io.ts'
import { oneLine, table, write } from './text.ts'

const head = ['PROVIDER', 'REGION', 'OFFER', 'USD/H', 'SECONDS', 'USD', 'BASIS']

export async function printRanking(io: Io, { offers, rejected }: Ranking): Promise<void> {
  const rows = offers.map((each) => [
    `${each.provider}/${each.account}`,
    each.region,
    `${each.offer}${each.spot ? ' (spot)' : ''}`,
    String(each.usd_per_hour),
    each.expected_duration_s === null ? '?' : String(each.expected_duration_s),
    each.expected_usd === null ? '?' : each.expected_usd.toFixed(6),
    each.basis ?? '',
  ])
  if (rows.length > 0) await write(io.stdout, table(head, rows, { right: ['USD/H', 'SECONDS', 'USD'] }))
  for (const { count, text, examples } of rejected)
    await write(io.stdout, `${oneLine(`${count} rejected: ${text}, like ${examples.join(', ')}`)}\n`)
}
