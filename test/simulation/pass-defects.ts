// Mistakes in the pass, its commits and its calls.
import type { Defect } from './defects.ts'

export const passDefects: readonly Defect[] = [
  {
    name: 'a commit does not look at the lease',
    file: 'jobs/store/batch.ts',
    edits: [['shard.lease_token === claimed.lease.token &&', "claimed.lease.token !== '' &&"]],
    by: /cannot go from|attempts_one_open|already has an outcome|cannot become/,
    seed: 6,
  },
  {
    name: 'a call is made without a look at the lease',
    file: 'jobs/act.ts',
    edits: [
      ['and s.leased_until > ${now}\n', 'and s.id <> ${now}::text\n'],
      [' and ours.lease_token = about.token\n', '\n'],
    ],
    by: /has 2 machines/,
    seed: 13,
  },
  {
    name: 'a commit does not look at the version of the facts',
    file: 'jobs/store/batch.ts',
    edits: [['shard.facts_version === facts_version)', 'shard.facts_version >= 0)']],
    by: /has reported its success and is|succeeded, and job_\w+ cancelled/,
    seed: 39,
  },
  {
    name: 'a launch is called before that is written down',
    file: 'jobs/store/changes.ts',
    edits: [['launch_called_at: announced ? now : null', 'launch_called_at: announced ? null : null']],
    by: /was launched before that was written down/,
    seed: 2,
  },
  {
    name: 'what was not committed is launched',
    file: 'jobs/round.ts',
    edits: [['const actions = done.filter(', 'const actions = decided.filter(']],
    by: /which no intent names|has 2 machines/,
    seed: 2,
  },
  {
    name: 'what a batch takes of a budget is not counted on for its next launch',
    file: 'jobs/store/budgets.ts',
    edits: [['...by(each.period)', '...by(each.stored)']],
    by: /reserved/,
    seed: 2,
  },
  {
    name: 'a call never gives its lane back',
    file: 'jobs/lanes.ts',
    edits: [['add(taken, account, -lanes)', 'add(taken, account, 0 * lanes)']],
    by: /not everything came to rest/,
    seed: 2,
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
    seed: 2,
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
    seed: 9,
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
    seed: 11,
  },
  {
    name: 'gone once is enough',
    file: 'jobs/decide.ts',
    edits: [['const goneTwice_s = 30', 'const goneTwice_s = 0']],
    by: /by silence, and its machine runs|ended, and its machine runs/,
    seed: 2,
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
    seed: 2,
  },
  {
    name: 'a stop that was called is taken for done',
    file: 'jobs/decide.ts',
    edits: [['if (row.stop_called_at && gone) return', 'if (row.stop_called_at) return']],
    by: /ended, and its machine runs/,
    seed: 2,
  },
  {
    name: 'a launch without a token is repeated at once',
    file: 'jobs/decide.ts',
    edits: [['if (!row.launch_called_at || traits.launch_token) return true', 'if (row.state) return true']],
    by: /has 2 machines/,
    seed: 3,
  },
  {
    name: 'an attempt is settled at its outcome and at its end',
    file: 'jobs/store/changes.ts',
    edits: [
      [
        '  if (row.started_at) count(scope, { running: -1 })\n',
        `  if (row.started_at) count(scope, { running: -1 })
  const { project_id, job_id, basis } = row
  const settled = { entry: 'settle' as const, usd_micros: 0, billed_from: null, billed_to: null, at: scope.now }
  scope.ledger.push({ project_id, job_id, attempt_id: row.id, basis, ...settled })
`,
      ],
    ],
    by: /ledger_settles_once|was settled twice/,
    seed: 2,
  },
  {
    name: 'a cancel is forgotten when the runner finishes',
    file: 'jobs/conclude.ts',
    edits: [
      ["if (shard.order_kind === 'cancel' && ordered)", "if (shard.order_kind === 'cancel' && !ordered)"],
    ],
    by: /succeeded, and job_\w+ cancelled|the cancel of/,
    seed: 5,
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
    seed: 2,
  },
  {
    name: 'failures use up no attempt',
    file: 'jobs/decide.ts',
    edits: [
      ['return shard.attempts_used + 1 < job.spec.retry.max_attempts', 'return shard.attempts_used + 1 < 99'],
      // Those of the user too: few programs of a seed fail in another way, and fewer as often as they may.
      ['const neverRetried = [2, 3, 4]', 'const neverRetried: number[] = []'],
    ],
    by: /was tried again after/,
    seed: 4,
  },
]
