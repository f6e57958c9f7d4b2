// Mistakes in what clients, runners and scans record.
import type { Defect } from './defects.ts'

export const recordDefects: readonly Defect[] = [
  {
    name: 'a report does not raise the version of the facts',
    file: 'jobs/report.ts',
    edits: [
      ['update shards set facts_version = shards.facts_version + 1, due_at', 'update shards set due_at'],
      ['.set({ facts_version: shard.facts_version + 1, due_at: now })', '.set({ due_at: now })'],
    ],
    by: /has reported its success and is/,
    seed: 29,
  },
  {
    name: 'a launch does not ask whether a budget has room',
    file: 'jobs/store/budgets.ts',
    edits: [['  return full.length === 0\n', '  return full.length >= 0\n']],
    by: /reserved and spent/,
    seed: 2,
  },
  {
    name: 'what was reserved is not given back',
    file: 'jobs/store/budgets.ts',
    edits: [
      [
        'reserved_micros: reserved_micros - row.micros,',
        'reserved_micros: reserved_micros - 0 * row.micros,',
      ],
    ],
    by: /stay reserved/,
    seed: 33,
  },
  {
    name: 'a cancel after the finish is accepted',
    file: 'jobs/orders.ts',
    edits: [['!isTerminal(state) && !decided.has(id)', '!isTerminal(state)']],
    by: /succeeded, and job_\w+ cancelled/,
    seed: 1,
  },
  {
    name: 'a message gets a new id each time it is sent',
    file: 'jobs/webhooks.ts',
    edits: [["'webhook-id': message.id,", "'webhook-id': `${message.id}-${message.attempts}`,"]],
    by: /is delivered, and nobody got it/,
    seed: 33,
  },
  {
    name: 'a submit sent again is a second job',
    file: 'jobs/idempotency.ts',
    edits: [['now.getTime() - kept_ms))}`\n}', 'now.getTime()))}`\n}']],
    by: /a submit sent again made|made another job|jobs are there for/,
    seed: 35,
  },
  {
    name: 'orphans are found and never stopped',
    file: 'jobs/orphans.ts',
    edits: [['const grace_ms = 120_000', 'const grace_ms = 1e12']],
    by: /without an attempt|is left at/,
    seed: 1,
  },
  {
    name: 'a scan for orphans reads first and lists second',
    file: 'jobs/orphans.ts',
    edits: [
      [
        '  const found: Found[] = []\n',
        `  const known = await deps.db.selectFrom('attempts').select('id').where('ended_at', 'is', null).execute()
  const found: Found[] = []
`,
      ],
      ['!live.has(attempt_id))', '!known.some(({ id }) => id === attempt_id))'],
    ],
    by: /is an orphan, and its attempt is/,
    seed: 17,
  },
  {
    name: 'a report counts after the outcome',
    file: 'jobs/report.ts',
    edits: [
      ['and attempts.outcome is null and attempts.finished_version', 'and attempts.finished_version'],
      [
        "  if (row.outcome && row.finished_version === null)\n    throw new AppError('attempt_over', `${attempt_id} is over",
        "  if (row.outcome && row.nonce === '')\n    throw new AppError('attempt_over', `${attempt_id} is over",
      ],
      [
        "  if (row.outcome && row.finished_version === null)\n    throw new AppError('attempt_over', `${row.id} is over",
        "  if (row.outcome && row.nonce === '')\n    throw new AppError('attempt_over', `${row.id} is over",
      ],
    ],
    by: /has reported its success and is/,
    seed: 2,
  },
  {
    name: 'a log line sent again takes the place of the first',
    file: 'jobs/logs.ts',
    edits: [
      [
        'on conflict do nothing)',
        'on conflict (attempt_id, number, partition_at) do update set text = excluded.text)',
      ],
    ],
    by: /was acknowledged and is not readable/,
    seed: 33,
  },
]
