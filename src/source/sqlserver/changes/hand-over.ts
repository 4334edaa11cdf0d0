/**
 * Where a read stands in the log: how a snapshot and the changes behind it are handed over (P3, docs/decisions/0022).
 *
 *        settled               snapshot begins          mark
 *     ──────┼──── changes here may or may not be in it ───┼──→ log
 *           A              ┊ the read stands at L         B
 *
 * SQL Server says of no snapshot which transactions it has: a commit is in the log a moment before it is seen. So the rows
 * decide. Everything that commits before A is in the snapshot, nothing behind B; of each row that changed in between, its
 * states in order are known from the changes, and the snapshot shows one of them. A position L at which the state of
 * every such row is the one that the snapshot shows *is* where it stands: no other row differs between A and B. Two
 * commits that were seen in the other order than they were logged leave none; then another snapshot is taken.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { FIELD_NOT_SENT } from '../../change-contract.ts'
import { behind, packLsn, unpackLsn } from './lsn.ts'
import { passMark } from './mark.ts'
import { InstanceReader, mergedChanges } from './merge.ts'
import type { Pace } from './pace.ts'
import type { CdcQuestions, Followed } from './questions.ts'
import { findOvertaken } from './slot.ts'

/** Rows that changed between A and B: beyond it, the read is not handed over. */
const TOUCHED_MAX = 50_000
const SETTLE_LOOKS = 30

/** @returns A, or null when no instance's data goes back that far, for as long as is waited for it */
export async function settledPosition(
  questions: CdcQuestions,
  followed: readonly Followed[],
  pace: Pace,
): Promise<bigint | null> {
  const began = followed
    .map(({ instance }) => instance.low!)
    .sort()
    .at(-1)
  for (let look = 0; look < SETTLE_LOOKS; look += 1) {
    const settled = await questions.capturedBefore(pace.settledSeconds)
    if (settled !== null && (began === undefined || unpackLsn(behind(settled)) >= began)) return behind(settled)
    await passMark(questions, pace)
    await sleep(pace.pollMs)
  }
  return null
}

/** Rows as the snapshot shows them, by key: fields of the key as they stand in a line, tab between. */
export type LookAtRows = (followed: Followed, keys: readonly string[]) => Promise<ReadonlyMap<string, string>>

export interface HandOverQuestion {
  readonly questions: CdcQuestions
  readonly followed: readonly Followed[]
  /** A. */
  readonly settled: bigint
  readonly look: LookAtRows
  readonly pace: Pace
}

/** A line, or null: no such row. */
type RowState = string | null

interface Touched {
  readonly before: RowState
  /** In order of commit: the state from this transaction on. */
  readonly states: { readonly transaction: number; state: RowState }[]
}

/**
 * After the snapshot has begun.
 * @returns L: the snapshot has what commits before it, and nothing else; null when no position fits
 * @throws slot-lost, source-…
 */
export async function standingOf(question: HandOverQuestion): Promise<bigint | null> {
  const mark = await passMark(question.questions, question.pace)
  const { commits, touched } = await gather(question, mark)
  if (touched === null) return null
  /** How often a row contradicts standing behind so many of the commits. */
  const against = new Array<number>(commits.length + 1).fill(0)
  for (const [followed, rows] of touched) {
    const shown = await question.look(followed, [...rows.keys()])
    for (const [key, row] of rows) contradict(against, row, shown.get(key) ?? null)
  }
  const fitting = against.lastIndexOf(0)
  if (fitting < 0) return null
  return commits[fitting] ?? mark
}

async function gather({ questions, followed, settled, pace }: HandOverQuestion, mark: bigint) {
  const row = { confirmed: settled, followed: {} }
  const began = Object.fromEntries(followed.map(({ instance }) => [instance.changeTable, unpackLsn(settled)]))
  const proveWhole = async () => {
    const instances = await questions.instances()
    const overtaken = findOvertaken({ ...row, followed: began }, instances)
    if (overtaken !== null) throw new Overtaken()
    return new Set(instances.map(({ changeTable }) => changeTable))
  }
  const window = { questions, from: unpackLsn(settled), to: unpackLsn(mark), pageRows: pace.pageRows, proveWhole }
  const commits: bigint[] = []
  const touched = new Map<Followed, Map<string, Touched>>()
  let count = 0
  try {
    for await (const { lsn, followed: of, change } of mergedChanges(
      followed.map((each) => new InstanceReader(each)),
      window,
    )) {
      if (commits.at(-1) !== packLsn(lsn)) commits.push(packLsn(lsn))
      if (change === null) continue
      const rows = touched.get(of) ?? new Map<string, Touched>()
      touched.set(of, rows)
      const lines = [change.before, change.after].map((line) => line && Buffer.from(line).toString())
      count += put(rows, change.table.key, commits.length, lines as [RowState, RowState])
      if (count > TOUCHED_MAX) return { commits, touched: null }
    }
  } catch (error) {
    if (error instanceof Overtaken) return { commits, touched: null }
    throw error
  }
  return { commits, touched }
}

class Overtaken extends Error {}

/** @returns how many rows became touched */
function put(
  rows: Map<string, Touched>,
  keyFields: readonly number[],
  transaction: number,
  [before, after]: [RowState, RowState],
): number {
  const size = rows.size
  const keyOf = (line: string) => {
    const fields = line.split('\t')
    return keyFields.map((field) => fields[field]).join('\t')
  }
  if (before !== null && (after === null || keyOf(before) !== keyOf(after))) {
    become(rows, keyOf(before), { transaction, before, state: null })
  }
  if (after !== null) {
    const kept = before !== null && keyOf(before) === keyOf(after) ? before : null
    become(rows, keyOf(after), { transaction, before: kept, state: after })
  }
  return rows.size - size
}

interface Becoming {
  readonly transaction: number
  readonly before: RowState
  readonly state: RowState
}

function become(rows: Map<string, Touched>, key: string, { transaction, before, state }: Becoming): void {
  const row = rows.get(key) ?? { before, states: [] }
  rows.set(key, row)
  const last = row.states.at(-1)
  if (last?.transaction === transaction) last.state = state
  else row.states.push({ transaction, state })
}

function contradict(against: number[], { before, states }: Touched, shown: RowState): void {
  let state = before
  let from = 0
  for (const next of [...states, null]) {
    const to = next?.transaction ?? against.length
    if (!isSame(state, shown)) for (let at = from; at < to; at += 1) against[at]! += 1
    if (next === null) return
    state = next.state
    from = to
  }
}

/** A field that was not sent is whatever it is. */
function isSame(told: RowState, shown: RowState): boolean {
  if (told === null || shown === null) return told === shown
  if (!told.includes(FIELD_NOT_SENT)) return told === shown
  const fields = shown.split('\t')
  return told.split('\t').every((field, position) => field === FIELD_NOT_SENT || field === fields[position])
}
