// Mistakes in how jobs are cut, joined and bounded, and in whose result is whose.
import type { Defect } from './defects.ts'

export const sweepDefects: readonly Defect[] = [
  {
    name: 'a leader ends and nobody leads its followers',
    file: 'jobs/store/cache.ts',
    edits: [['if (!isWhole(job)) return promote(tx, job.id, now)', 'if (!isWhole(job)) return']],
    by: /follows job_\w+, which has/,
    seed: 1,
  },
  {
    name: 'followers are given what was kept of a job that was stopped',
    file: 'jobs/cache.ts',
    edits: [["outcome === 'succeeded' && shards_failed === 0", 'shards_failed >= 0']],
    by: /follows job_\w+, which has|which has none/,
    seed: 10,
  },
  {
    name: 'each part of a job may cost all that is left of its budget',
    file: 'jobs/shards.ts',
    edits: [['/ Math.max(1, shards_waiting))', '/ 1)']],
    by: /was launched where job_\w+ could cost/,
    seed: 1,
  },
  {
    name: 'the points of one part replace those of another',
    file: 'jobs/points.ts',
    edits: [
      [
        ".where('job_id', '=', job_id).where('shard_index', '=', shard_index).execute()",
        ".where('job_id', '=', job_id).execute()",
      ],
    ],
    by: /has the points/,
    seed: 1,
  },
  {
    name: 'a part is told of another part',
    file: 'jobs/runner-spec.ts',
    edits: [['shard: { index: job.index,', 'shard: { index: Math.max(0, job.index - 1),']],
    by: /was told to do/,
    seed: 1,
  },
  {
    name: 'parts are joined before the last has ended',
    file: 'jobs/store/fold.ts',
    edits: [
      [
        '    job.shards_waiting + job.shards_active === 0 &&',
        '    job.shards_waiting + job.shards_active <= 1 &&',
      ],
    ],
    by: /was not joined|was joined from|that have not|cannot go from/,
    seed: 2,
  },
  {
    name: 'a job ends before its parts are joined',
    file: 'jobs/store/fold.ts',
    edits: [["  if (merges) counted.merge_state = 'waiting'\n", '']],
    by: /was not joined|that have not|has the result|cannot go from/,
    seed: 1,
  },
  {
    name: 'the class of device is not looked at when a launch commits',
    file: 'jobs/store/commit.ts',
    edits: [['  return !fixed || classOf', "  return fixed !== 'none' || classOf"]],
    by: /two classes of device/,
    seed: 4,
  },
  {
    name: 'the launches of one batch count once against a limit or the slots',
    file: 'jobs/store/commit.ts',
    edits: [['  if (launch) countPlace(batch.places, launch)\n', '']],
    by: /is one of \d+ attempts, and \d+ may run|attempts are at \w+\/\w+, which has/,
    seed: 20,
  },
  {
    name: 'limits are those of the time of the decision',
    file: 'jobs/store/places.ts',
    edits: [
      [
        'launches.length === 0 ? new Map<string, number>() : await readLimits(tx)',
        'new Map<string, number>(launches.length === 0 ? [] : [])',
      ],
    ],
    by: /is one of \d+ attempts, and \d+ may run/,
    seed: 5,
  },
]
