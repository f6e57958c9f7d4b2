// The tables of transitions, applied to rows: a row in, the moved row out.
import {
  type AttemptState,
  attemptTransitions,
  type JobState,
  jobTransitions,
  type ShardState,
  shardTransitions,
} from '../state.ts'

interface Stated<State> {
  id: string
  state: State
}

/** An attempt one state further; throws when that is not legal. */
export const movedAttempt = <Row extends Stated<AttemptState>>(
  row: Row,
  to: AttemptState,
  values: Partial<Row>,
): Row => moved('attempt', attemptTransitions, row, to, values)

/** A shard one state further; throws when that is not legal. */
export const movedShard = <Row extends Stated<ShardState>>(
  row: Row,
  to: ShardState,
  values: Partial<Row>,
): Row => moved('shard', shardTransitions, row, to, values)

/** A job one state further, or where it is; throws when that is not legal. */
export const movedJob = <Row extends Stated<JobState>>(row: Row, to: JobState, values: Partial<Row>): Row =>
  to === row.state ? { ...row, ...values } : moved('job', jobTransitions, row, to, values)

function moved<State extends string, Row extends Stated<State>>(
  what: string,
  transitions: Readonly<Record<State, readonly State[]>>,
  row: Row,
  to: State,
  values: Partial<Row>,
): Row {
  if (!transitions[row.state].includes(to))
    throw new Error(`${what} ${row.id} cannot go from ${row.state} to ${to}`)
  return { ...row, ...values, state: to }
}
