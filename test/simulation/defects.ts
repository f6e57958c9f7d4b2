// Mistakes that the simulation must find: each is an edit of a copy of the code, and the seed that finds it.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkout } from './code.ts'

export interface Defect {
  name: string
  file: string
  /** What stands in the file exactly once, and what takes its place. */
  edits: readonly (readonly [string, string])[]
  /** What it breaks. */
  by: RegExp
  /** A seed that finds it. */
  seed: number
}

export const defects: readonly Defect[] = [
  {
    name: 'a commit does not look at the lease',
    file: 'jobs/store/commit.ts',
    edits: [["    .where('lease_token', '=', lease.token)\n    .forUpdate()", '    .forUpdate()']],
    by: /cannot go from|attempts_one_open|already has an outcome|cannot become/,
    seed: 1,
  },
  {
    name: 'a call is made without a look at the lease',
    file: 'jobs/act.ts',
    edits: [
      [
        'and s.lease_token = ${lease.token} and s.leased_until > ${now})',
        'and ${lease.token} <> ${now}::text)',
      ],
    ],
    by: /has 2 machines/,
    seed: 1,
  },
  {
    name: 'a commit does not look at the version of the facts',
    file: 'jobs/store/commit.ts',
    edits: [['shard.facts_version !== commit.facts_version', 'shard.facts_version < 0']],
    by: /has reported its success and is/,
    seed: 1,
  },
  {
    name: 'a report does not raise the version of the facts',
    file: 'jobs/report.ts',
    edits: [['.set({ facts_version: shard.facts_version + 1, due_at: now })', '.set({ due_at: now })']],
    by: /has reported its success and is/,
    seed: 1,
  },
  {
    name: 'a launch is called before that is written down',
    file: 'jobs/act.ts',
    edits: [
      ["call === 'launch' ? { launch_called_at: now }", "call === 'launch' ? { launch_called_at: null }"],
    ],
    by: /was launched before that was written down/,
    seed: 1,
  },
  {
    name: 'the token is made anew for each launch',
    file: 'jobs/act.ts',
    edits: [
      [
        '{ ...row, attempt_id: row.id }',
        '{ ...row, attempt_id: row.id, nonce: String(deps.clock.now().getTime()) }',
      ],
    ],
    by: /not the token of this attempt|was given two tokens/,
    seed: 1,
  },
  {
    name: 'the deadline of a launch is counted from now when it is repeated',
    file: 'jobs/act.ts',
    edits: [
      [
        'provider.launch(row.request,',
        'provider.launch({ ...row.request, deadline_at: new Date(deps.clock.now().getTime() + 3_600_000).toISOString() },',
      ],
    ],
    by: /was launched with two requests/,
    seed: 1,
  },
  {
    name: 'what cannot be asked is taken for gone',
    file: 'jobs/decide.ts',
    edits: [
      ["if (!seen || seen.state === 'unseen') return null", 'if (!seen) return null'],
      [
        "const gone_since = seen.state === 'gone' &&",
        "const gone_since = (seen.state === 'gone' || seen.state === 'unseen') &&",
      ],
    ],
    by: /by silence, and its machine runs|ended, and its machine runs/,
    seed: 1,
  },
  {
    name: 'gone once is enough',
    file: 'jobs/decide.ts',
    edits: [['const goneTwice_s = 30', 'const goneTwice_s = 0']],
    by: /by silence, and its machine runs|ended, and its machine runs/,
    seed: 1,
  },
  {
    name: 'a blind vendor is believed',
    file: 'jobs/observe.ts',
    edits: [
      ['return missed ? doubt(provider, answers, rows) : answers', 'return missed ? answers : answers'],
    ],
    by: /by silence, and its machine runs|ended, and its machine runs/,
    seed: 1,
  },
  {
    name: "the vendor's list lag is forgotten",
    file: 'jobs/decide.ts',
    edits: [['return shown_at === null || asked_at < shown_at', 'return shown_at === null']],
    by: /by silence, and its machine runs|ended, and its machine runs/,
    seed: 1,
  },
  {
    name: 'a stop that was called is taken for done',
    file: 'jobs/decide.ts',
    edits: [['if (row.stop_called_at && gone) return', 'if (row.stop_called_at) return']],
    by: /ended, and its machine runs/,
    seed: 1,
  },
  {
    name: 'a launch without a token is repeated at once',
    file: 'jobs/decide.ts',
    edits: [['if (!row.launch_called_at || traits.launch_token) return true', 'if (row.state) return true']],
    by: /has 2 machines/,
    seed: 1,
  },
  {
    name: 'an attempt is settled at its outcome and at its end',
    file: 'jobs/store/changes.ts',
    edits: [
      [
        '  if (row.outcome) throw new Error(`attempt ${change.attempt_id} already has an outcome`)\n',
        `  if (row.outcome) throw new Error('twice')
  await tx
    .insertInto('ledger')
    .columns(['project_id', 'job_id', 'attempt_id', 'entry', 'usd_micros', 'basis', 'at'])
    .expression((from) =>
      from
        .selectFrom('attempts')
        .select(['project_id', 'job_id', 'id'])
        .select([sql.lit('settle').as('entry'), sql.lit(0).as('usd_micros'), 'basis', sql.val(scope.now).as('at')] as never)
        .where('id', '=', change.attempt_id) as never,
    )
    .execute()
`,
      ],
    ],
    by: /ledger_settles_once|was settled twice/,
    seed: 1,
  },
  {
    name: 'a launch does not ask whether a budget has room',
    file: 'jobs/store/budgets.ts',
    edits: [['  return full.length === 0\n', '  return full.length >= 0\n']],
    by: /reserved and spent/,
    seed: 1,
  },
  {
    name: 'what was reserved is not given back',
    file: 'jobs/store/budgets.ts',
    edits: [
      [
        'reserved_micros: sql`reserved_micros - ${micros}`,',
        'reserved_micros: sql`reserved_micros - 0 * ${micros}`,',
      ],
    ],
    by: /stay reserved/,
    seed: 1,
  },
  {
    name: 'a cancel after the finish is accepted',
    file: 'jobs/orders.ts',
    edits: [['!isTerminal(state) && !decided.has(id)', '!isTerminal(state)']],
    by: /succeeded, and job_\w+ cancelled/,
    seed: 1,
  },
  {
    name: 'a cancel is forgotten when the runner finishes',
    file: 'jobs/conclude.ts',
    edits: [
      ["if (shard.order_kind === 'cancel' && ordered)", "if (shard.order_kind === 'cancel' && !ordered)"],
    ],
    by: /succeeded, and job_\w+ cancelled|the cancel of/,
    seed: 1,
  },
  {
    name: 'leases of the dead are never free',
    file: 'jobs/store/claim.ts',
    edits: [
      [
        'lease_token is null or leased_until < ${now} or not exists (',
        'lease_token is null or ${now}::text is null or 1 < (select count(*) ',
      ],
    ],
    by: /not everything came to rest/,
    seed: 1,
  },
  {
    name: 'a message gets a new id each time it is sent',
    file: 'jobs/webhooks.ts',
    edits: [["'webhook-id': delivery.id,", "'webhook-id': `${delivery.id}-${delivery.attempts}`,"]],
    by: /is delivered, and nobody got it/,
    seed: 1,
  },
  {
    name: 'a submit sent again is a second job',
    file: 'jobs/submit.ts',
    edits: [
      [
        '...options.idempotency, resource_id: job_id',
        '...options.idempotency, key: job_id, resource_id: job_id',
      ],
    ],
    by: /a submit sent again made|made another job|jobs are there for/,
    seed: 1,
  },
  {
    name: 'orphans are found and never stopped',
    file: 'jobs/orphans.ts',
    edits: [['const grace_ms = 120_000', 'const grace_ms = 1e12']],
    by: /without an attempt|is left at/,
    seed: 1,
  },
  {
    name: 'a report counts after the outcome',
    file: 'jobs/report.ts',
    edits: [
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
    seed: 1,
  },
  {
    name: 'a log line sent again takes the place of the first',
    file: 'jobs/logs.ts',
    edits: [
      [
        'conflict.doNothing()',
        "conflict.columns(['attempt_id', 'number', 'partition_at']).doUpdateSet({ text: chunk.text })",
      ],
    ],
    by: /was acknowledged and is not readable/,
    seed: 1,
  },
  {
    name: 'failures use up no attempt',
    file: 'jobs/decide.ts',
    edits: [
      ['return shard.attempts_used + 1 < job.spec.retry.max_attempts', 'return shard.attempts_used + 1 < 99'],
    ],
    by: /was tried again after/,
    seed: 1,
  },
]

const copied = ['jobs', 'functions', 'providers', 'infra', 'migrations', 'package.json']

/** A copy of the code with a defect; the caller removes it. Throws when an edit does not match exactly once. */
export function copyWith({ name, file, edits }: Defect): { root: string; remove: () => void } {
  const root = mkdtempSync(join(tmpdir(), 'berth-defect-'))
  for (const part of copied) cpSync(join(checkout, part), join(root, part), { recursive: true })
  symlinkSync(join(checkout, 'node_modules'), join(root, 'node_modules'))
  const path = join(root, file)
  let text = readFileSync(path, 'utf8')
  for (const [before, after] of edits) {
    const times = text.split(before).length - 1
    if (times !== 1) throw new Error(`${name}: ${JSON.stringify(before)} stands in ${file} ${times} times`)
    text = text.replace(before, () => after)
  }
  writeFileSync(path, text)
  return { root, remove: () => rmSync(root, { recursive: true, force: true }) }
}
