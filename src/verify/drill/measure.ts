/**
 * What a fault would have cost: how far back the copy stands, and which rows the source has that the copy has not. And
 * whether copy and source answer the same questions alike.
 */
import { Failure } from '../../errors.ts'
import { completeUntil } from '../../repository/state/log-cut.ts'
import type { State } from '../../repository/state/state.ts'
import type { StateTarget } from '../../repository/state/target.ts'
import { askDatabase, openSource } from '../../source/open.ts'
import type { Answer } from '../../source/scratch-contract.ts'
import { compareDatabase } from '../compare.ts'
import type { DrillCheck, DrillReport, LostRows, Measured } from './drill-report.ts'
import type { DrillQuestion, DrillRequest } from './drill-request.ts'

export interface RecoveredUpTo {
  readonly at: string | null
  readonly basis: DrillReport['rpo']['basis']
}

const SALT_BYTES = 16

/**
 * Until when everything that was committed is in the copy: as the log's heartbeat says, at the end of the log; else the
 * last transaction of the state, or the snapshot.
 */
export async function recoveredUpTo({ moment, base, along, transaction }: StateTarget): Promise<RecoveredUpTo> {
  const snapshotMs = Date.parse(base.position.sourceTime)
  const transactionMs = transaction ? Number(transaction.commitTimeUs / 1000n) : null
  const heartbeatUs = along !== null && moment.kind === 'now' ? await completeUntil(along.log) : null
  const heartbeatMs = heartbeatUs === null ? null : Number(heartbeatUs / 1000n)
  const candidates = [
    { ms: snapshotMs, basis: 'snapshot' as const },
    { ms: transactionMs, basis: 'transaction' as const },
    { ms: heartbeatMs, basis: 'heartbeat' as const },
  ]
  const known = candidates.filter((each): each is typeof each & { ms: number } => each.ms !== null)
  const latest = known.reduce((most, each) => (each.ms > most.ms ? each : most))
  return { at: new Date(latest.ms).toISOString(), basis: latest.basis }
}

/** Reads all of the source once. @throws source-…, missing-rights, yielded-to-application */
export async function lostRows(request: DrillRequest, state: State): Promise<LostRows[]> {
  if (request.source === null) return []
  const { repository, pool, signal, nowMs } = request
  await using source = await openSource(request.source)
  // As of a copy: what lies behind the state's last transaction is what a fault would have taken.
  const compared = { repository, source, state, expectSameHistory: false, pool, signal, nowMs }
  const { tables } = await compareDatabase(compared)
  return tables.map(({ table, outcome, missing, extra, changed }) => {
    const comparable = outcome !== 'not-comparable'
    return { table, notRecovered: extra, changedSince: changed, deletedSince: missing, comparable }
  })
}

export function measured(ms: number | null, targetMs: number | null): Measured {
  return { ms, targetMs, met: ms === null || targetMs === null ? null : ms <= targetMs }
}

/** Questions to the copy; and to the source, where it may be asked. */
export class Questions {
  readonly #request: DrillRequest
  readonly #salt: Uint8Array
  #copy: readonly Answer[] = []

  constructor(request: DrillRequest) {
    this.#request = request
    this.#salt = request.random(SALT_BYTES)
  }

  async askCopy(connection: NonNullable<DrillRequest['into']>): Promise<void> {
    this.#copy = await this.#ask(connection)
  }

  /** `movedOn`: the source has what the copy cannot have. @throws source-… */
  async compare(movedOn: boolean): Promise<DrillCheck[]> {
    const { source, questions } = this.#request
    const answers = source === null || questions.length === 0 ? [] : await this.#ask(source)
    return questions.map((question, index) => {
      return checkOf(question, this.#copy[index] ?? null, answers[index] ?? null, movedOn)
    })
  }

  /** Of the copy alone. */
  copyOnly(): DrillCheck[] {
    return this.#request.questions.map((question, index) => checkOf(question, this.#copy[index] ?? null, null, false))
  }

  async #ask(connection: NonNullable<DrillRequest['into']>): Promise<Answer[]> {
    const { questions, nowMs, signal } = this.#request
    if (questions.length === 0) return []
    return await askDatabase(connection, questions, { salt: this.#salt, nowMs, signal })
  }
}

export function checkOf(
  { name, expected }: DrillQuestion,
  copy: Answer | null,
  source: Answer | null,
  movedOn: boolean,
): DrillCheck {
  return { name, expected, copy: withoutName(copy), source: withoutName(source), outcome: outcomeOf() }

  function outcomeOf(): DrillCheck['outcome'] {
    if (copy === null || copy.failure !== null) return 'failed'
    if (expected !== null && copy.number !== expected) return 'differs'
    if (source === null || source.failure !== null) return expected === null ? 'answered' : 'same'
    if (source.digest === copy.digest) return 'same'
    return movedOn ? 'moved-on' : 'differs'
  }
}

function withoutName(answer: Answer | null): DrillCheck['copy'] {
  if (answer === null) return null
  const { name: _, ...rest } = answer
  return rest
}

/** What is not there to be measured is no reason to end a drill: it is said instead. */
export function reasonNotMeasured(error: unknown): string {
  if (error instanceof Failure && error.code !== 'cancelled' && error.code !== 'defect') return error.message
  throw error
}
