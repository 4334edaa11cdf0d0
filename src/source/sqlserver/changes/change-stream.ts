/**
 * Follows the change tables: transactions in the order of their commits, and positions in between.
 *
 *     captured so far? ─→ pages of every instance, merged ─→ transactions ─→ events()
 *            ↑                     └ still whole? (F15)
 *            └── every second ←─ what was confirmed goes to the slot's row
 *
 * Nothing is told beyond what the capture job has come to, and nothing is passed over: what is no longer there ends the
 * stream as lost, so that the next log declares the gap.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../../../errors.ts'
import type { CapturedTransaction, ChangeStream, RowChange, StreamEvent, StreamOptions } from '../../change-contract.ts'
import type { SourceIdentity } from '../../contract.ts'
import { splitLine } from '../../line-fields.ts'
import { withinSilence } from '../../silence.ts'
import { behind, type CdcLsn, shownLsn, unpackLsn } from './lsn.ts'
import { InstanceReader, type MergedChange, mergedChanges } from './merge.ts'
import type { Pace } from './pace.ts'
import { captureObstacle, followable, MARK_NAME, readSetting } from './plan.ts'
import type { CaptureInstance, CdcQuestions, SlotRow } from './questions.ts'
import { beginnings, findOvertaken } from './slot.ts'

const BATCH_CHANGES = 1_000

/** @throws slot-missing, slot-lost, slot-in-use, cannot-capture, missing-rights, source-… */
export async function openChangeStream(
  open: () => Promise<CdcQuestions>,
  pace: Pace,
  options: StreamOptions,
): Promise<ChangeStream> {
  options.signal.throwIfAborted()
  const questions = await open()
  try {
    return await within(assemble(questions, pace, options), options)
  } catch (error) {
    await questions[Symbol.asyncDispose]()
    throw error
  }
}

async function assemble(questions: CdcQuestions, pace: Pace, options: StreamOptions): Promise<ChangeStream> {
  const { slot, tables } = options
  if (!(await questions.hold(slot))) throw slotInUse(slot)
  const row = await questions.readSlot(slot)
  if (row === null) throw new Failure('slot-missing', `the source has no slot ${slot} (chartkeep.slot)`)
  const identity = await questions.identify()
  const setting = await readSetting(questions)
  const obstacle = captureObstacle(setting)
  if (obstacle !== null) throw new Failure('cannot-capture', `changes cannot be captured: ${obstacle.reason}`)
  refuseOvertaken(row, setting.instances, slot)
  const followed = followable(setting, [MARK_NAME, ...tables])
  // What is followed from now on is written down before anything of it is told: see slot.ts.
  const began = beginnings(followed.map(({ instance }) => instance))
  const known: SlotRow = { confirmed: row.confirmed, followed: { ...began, ...row.followed } }
  await questions.writeSlot(slot, known)
  const readers = followed.map((each) => new InstanceReader(each))
  return new PolledStream({ identity, questions, pace, options, readers, row: known })
}

interface Parts {
  readonly identity: SourceIdentity
  readonly questions: CdcQuestions
  readonly pace: Pace
  readonly options: StreamOptions
  readonly readers: readonly InstanceReader[]
  readonly row: SlotRow
}

class PolledStream implements ChangeStream {
  readonly identity: SourceIdentity
  readonly #parts: Parts
  #confirmed: bigint
  #written: bigint
  #isDisposed = false

  constructor(parts: Parts) {
    this.identity = parts.identity
    this.#parts = parts
    this.#confirmed = parts.row.confirmed
    this.#written = parts.row.confirmed
  }

  async *events(): AsyncGenerator<StreamEvent, void, undefined> {
    const { questions, pace, options } = this.#parts
    let position = this.#parts.row.confirmed
    for (;;) {
      await within(this.#writeConfirmed(), options)
      const captured = await within(switchedOff(questions.captured()), options)
      const end = captured === null ? 0n : behind(captured)
      if (end < position) throw putBack(position, end)
      if (end === position) {
        await sleep(pace.pollMs, undefined, { signal: options.signal }).catch(() => {})
        options.signal.throwIfAborted()
        continue
      }
      yield* this.#transactions(position, end)
      position = end
      yield { kind: 'position', lsn: end }
    }
  }

  confirm(lsn: bigint): void {
    if (lsn > this.#confirmed) this.#confirmed = lsn
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return
    this.#isDisposed = true
    const { questions, options } = this.#parts
    try {
      // What was confirmed last is told: it would otherwise be sent again, which costs time and nothing else.
      await withinSilence(this.#writeConfirmed(), options.silenceMaxMs)
    } catch {
      // The connection may be what broke.
    }
    await questions[Symbol.asyncDispose]()
  }

  async *#transactions(position: bigint, end: bigint): AsyncGenerator<StreamEvent> {
    const { readers, questions, pace, options, row } = this.#parts
    const proveWhole = async () => {
      const instances = await questions.instances()
      refuseOvertaken({ ...row, confirmed: position }, instances, options.slot)
      return new Set(instances.map(({ changeTable }) => changeTable))
    }
    const window = { questions, from: unpackLsn(position), to: unpackLsn(end), pageRows: pace.pageRows, proveWhole }
    const merged = new Ahead(mergedChanges(readers, window), options)
    await merged.advance()
    for (let first = merged.next; first !== null; first = merged.next) {
      const told = await this.#gather(merged, first)
      yield { kind: 'transaction', transaction: told.transaction }
      await told.drain()
      if (told.heard.isSeal) yield { kind: 'seal-requested', lsn: told.transaction.endLsn }
    }
  }

  /** A transaction that is larger than what is held is read on as its changes are asked for. */
  async #gather(merged: Ahead, { lsn, commitTimeUs }: MergedChange) {
    const { heldChangesMax } = this.#parts.pace
    const heard: OurWords = { isSeal: false, mark: null }
    const held = await takeChanges(merged, lsn, heldChangesMax, heard)
    const isWhole = merged.next?.lsn !== lsn
    const rest = async function* (): AsyncGenerator<readonly RowChange[]> {
      if (held.length > 0) yield held
      while (merged.next?.lsn === lsn) yield await takeChanges(merged, lsn, BATCH_CHANGES, heard)
    }
    const transaction: CapturedTransaction = {
      // SQL Server's transactions have no number that reads could be told by: their commits are in order.
      xid: 0,
      commitLsn: behind(lsn) - 1n,
      endLsn: behind(lsn),
      commitTimeUs,
      mark: heard.mark,
      changeCount: isWhole ? held.length : null,
      textBytes: isWhole ? held.reduce((sum, change) => sum + textBytes(change), 0) : null,
      changes: rest(),
    }
    const drain = async () => {
      while (merged.next?.lsn === lsn) await takeChanges(merged, lsn, BATCH_CHANGES, heard)
    }
    return { transaction, heard, drain }
  }

  async #writeConfirmed(): Promise<void> {
    const confirmed = this.#confirmed
    if (confirmed === this.#written) return
    const { questions, options, row } = this.#parts
    await questions.writeSlot(options.slot, { ...row, confirmed })
    this.#written = confirmed
  }
}

/** One change ahead of whoever reads. */
class Ahead {
  next: MergedChange | null = null
  readonly #changes: AsyncGenerator<MergedChange, undefined>
  readonly #options: StreamOptions

  constructor(changes: AsyncGenerator<MergedChange, undefined>, options: StreamOptions) {
    this.#changes = changes
    this.#options = options
  }

  async advance(): Promise<void> {
    const { done, value } = await within(this.#changes.next(), this.#options)
    this.next = done ? null : value
  }
}

/** What a transaction wrote into `chartkeep.mark`: a request for a seal, or that it is a restore of ours (restore-mark.ts). */
interface OurWords {
  isSeal: boolean
  mark: string | null
}

async function takeChanges(merged: Ahead, lsn: CdcLsn, limit: number, heard: OurWords): Promise<RowChange[]> {
  const changes: RowChange[] = []
  while (merged.next?.lsn === lsn && changes.length < limit) {
    const { change, followed } = merged.next
    if (followed.table.info.name === MARK_NAME) hear(heard, change)
    else if (change !== null) changes.push(change)
    await merged.advance()
  }
  return changes
}

function hear(heard: OurWords, change: RowChange | null): void {
  if (change?.kind === 'update') heard.isSeal = true
  if (change?.kind !== 'insert') return
  const token = splitLine(Buffer.from(change.after!))[change.table.columns.indexOf('token')]
  heard.mark = token?.toString('utf8') ?? null
}

function textBytes({ before, after }: RowChange): number {
  return (before?.length ?? 0) + (after?.length ?? 0)
}

function refuseOvertaken(row: SlotRow, instances: readonly CaptureInstance[], slot: string): void {
  const overtaken = findOvertaken(row, instances)
  if (overtaken === null) return
  throw new Failure('slot-lost', `slot ${slot} was overtaken: ${overtaken}`, {
    context: { slot },
    hints: ['A longer retention of the clean-up job (sys.sp_cdc_change_job) leaves capture more time.'],
  })
}

/** Its tables are gone with it. */
async function switchedOff<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'object-missing-in-source') throw error
    throw new Failure('slot-lost', 'change data capture was switched off in the database')
  }
}

function slotInUse(slot: string): Failure {
  return new Failure('slot-in-use', `slot ${slot} is followed by another process`, {
    context: { slot },
    hints: ['One capture runs for each source: find the other one, or wait until the server has noticed its end.'],
  })
}

function putBack(position: bigint, end: bigint): Failure {
  const at = (lsn: bigint) => shownLsn(unpackLsn(lsn))
  return new Failure(
    'history-differs',
    `the database has captured up to ${at(end)}, and we have seen ${at(position)}: it was put back`,
  )
}

/** Until it answers, is given up, or has been silent for too long (F31). */
async function within<T>(answer: Promise<T>, { signal, silenceMaxMs }: StreamOptions): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    return await Promise.race([withinSilence(answer, silenceMaxMs), aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
