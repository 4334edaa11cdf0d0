/**
 * What happened: from the change log, transaction by transaction; and where the log has a gap, or never had a table, from
 * what differs between two snapshots, said as such.
 *
 *     snapshots        k0 ──────── k1 ──────── k2 (another log) ─────────
 *     log of k0        ├─ t, u ────┼── t ──┐ ends
 *     log of k2                    │       │   ├─ t, u ──────────────────
 *     events of t      exact ──────────────┤   │ exact
 *                                          └─ between the end and k2
 *     events of u      exact ─┐ closed     │   │
 *                             └── between the closing and k1, which read it; exact again
 *
 * A table is followed from a snapshot that has it at transaction resolution and stands on the log; the log is read from
 * where that snapshot does not have everything any more, and visibility decides what it lacks (P3). What comes from trees
 * is proved by their roots, what comes from the log by its chain.
 */
import { assert } from '../../errors.ts'
import type { LoggedPart } from '../change-log/change.ts'
import { parseLsn } from '../lsn.ts'
import type { Manifest, TableManifest } from '../manifest.ts'
import type { Repository } from '../repository.ts'
import { KeptSnapshots } from '../state/kept-snapshots.ts'
import { isLogged } from '../state/target.ts'
import { type BetweenTime, between } from './between.ts'
import type { HistoryPlace } from './change-id.ts'
import type { EventTime, HistoryEvent, PastItem } from './event.ts'
import { FollowedTable, type NotFollowed, type NumberedEvent } from './followed-table.ts'
import { type Interval, isBehind, isSince } from './interval.ts'
import { LoggedPast } from './logged-past.ts'
import type { Question } from './question.ts'
import type { SnapshotReader } from './rows-by-key.ts'

export interface PastRequest {
  readonly repository: Repository
  readonly sourceName: string
  readonly interval: Interval
  readonly question: Question
  readonly signal: AbortSignal
  readonly onSegment?: (segment: number) => void
}

/** A table at two snapshots; null where it is not there. */
interface SnapshotPair {
  readonly from: FollowedTable | null
  readonly to: FollowedTable | null
  /** The snapshot before. */
  readonly previous: Manifest
  readonly snapshot: Manifest
}

/** Changes that wait for their rows before, at the most, of all tables. */
const WAITING_MAX = 4_000
const WAITING_BYTES_MAX = 16 * 1024 * 1024

/**
 * In order of commit; what is known between two places only stands where the later one is. Ends early when the question
 * has grown.
 * @throws snapshot-not-found; change-log-gap where the log does not fit the rows; repository-damaged, object-missing, store-…
 */
export async function* readPast(request: PastRequest): AsyncGenerator<PastItem> {
  const reading = new PastReading(request)
  try {
    yield* reading.read()
  } finally {
    await reading.close()
  }
}

class PastReading {
  readonly #request: PastRequest
  readonly #reader: SnapshotReader
  #tables = new Map<string, FollowedTable>()
  /** A table may have another name for a while. */
  #byOid = new Map<string, FollowedTable>()
  #past: LoggedPast | null = null
  #base: Manifest | null = null
  #seq = 0
  #waiting = 0
  #waitingBytes = 0
  #time: (EventTime & { kind: 'transaction' }) | null = null
  /** Snapshots of the log whose position is not reached yet. */
  #ahead: Manifest[] = []

  constructor(request: PastRequest) {
    this.#request = request
    const { repository } = request
    this.#reader = { chunks: repository.chunkReader(), keys: repository.keyring.secrets }
  }

  async close(): Promise<void> {
    await this.#past?.close()
  }

  async *read(): AsyncGenerator<PastItem> {
    const { snapshots, passedOver } = await this.#snapshots()
    for (const snapshot of snapshots) {
      this.#request.signal.throwIfAborted()
      yield* this.#passTo(snapshot)
      if (this.#request.question.hasGrown) return
      yield* this.#stopAt(snapshot)
      if (this.#request.question.hasGrown) return
    }
    yield* this.#pass(null)
    if (this.#request.question.hasGrown) return
    if (this.#past) this.#close(this.#past, () => true)
    yield* this.#whatIsNotKnown(passedOver)
  }

  /** From the last one at or before the beginning to the first one behind the end, oldest first. */
  async #snapshots(): Promise<{ snapshots: Manifest[]; passedOver: string | null }> {
    const { repository, sourceName, interval } = this.#request
    const kept = await KeptSnapshots.list(repository, sourceName)
    const { since, until } = interval
    const snapshots: Manifest[] = []
    let passed: string | null = null
    for await (const { manifest, passedOver } of kept.newestFirst(snapshots.length === 0)) {
      passed = passedOver === null ? null : passedOver.message
      snapshots.unshift(manifest)
      if (since !== null && !isBehind(manifest, since)) break
    }
    // Says that there is none, or why.
    if (snapshots.length === 0) await kept.newest()
    const last = until === null ? -1 : snapshots.findIndex((manifest) => isBehind(manifest, until))
    return { snapshots: last < 0 ? snapshots : snapshots.slice(0, last + 1), passedOver: passed }
  }

  /** Reads the log up to where the snapshot's own scan begins, or to its end. */
  async *#passTo(snapshot: Manifest): AsyncGenerator<PastItem> {
    const past = this.#past
    if (!past) return
    if (isLogged(snapshot) && snapshot.log.logId === past.logId) {
      const { scanFrom, head } = snapshot.log
      yield* this.#pass(parseLsn(scanFrom))
      this.#close(past, ({ segment }) => head !== null && segment <= head.segment)
      return
    }
    const lsn = parseLsn(snapshot.position.lsn)
    const { systemId, databaseOid } = past.log.start.source
    // What another log says from where the snapshot stands, this one says as well: each is told once.
    const isSame = snapshot.source.systemId === systemId && snapshot.source.databaseOid === databaseOid
    const isWithin = isSame && !isLogged(snapshot) && lsn <= past.end
    yield* this.#pass(isWithin ? lsn : null)
    if (!isWithin) this.#loseAll(`change log ${past.logId} ends there`)
  }

  async *#pass(bound: bigint | null): AsyncGenerator<PastItem> {
    const past = this.#past
    if (!past) return
    for (let part = await past.next(bound); part; part = await past.next(bound)) {
      this.#request.signal.throwIfAborted()
      yield* this.#restOnSnapshots(part.commitLsn)
      const { segment, commitLsn } = part
      this.#close(past, (closing) => closing.segment <= segment && closing.from <= commitLsn)
      this.#take(part, past)
      if (this.#request.question.hasGrown) return
      if (part.ends && (this.#waiting >= WAITING_MAX || this.#waitingBytes >= WAITING_BYTES_MAX)) yield* this.#flush()
    }
    yield* this.#flush()
    if (past.broken) this.#loseAll(past.broken.message)
  }

  #take(part: LoggedPart, past: LoggedPast): void {
    const { logId } = past
    const whole = past.wholeXid(part)
    this.#request.onSegment?.(part.segment)
    if (this.#time?.stamp.commitLsn !== part.commitLsn || this.#time.stamp.xid !== part.xid) {
      const { xid, commitLsn, endLsn, commitTimeUs, mark } = part
      this.#time = { kind: 'transaction', logId, stamp: { xid, commitLsn, endLsn, commitTimeUs, mark } }
    }
    for (const change of part.changes) {
      const table = this.#byOid.get(change.table.oid) ?? this.#tables.get(change.table.name)
      if (!table || table.lost || !table.lacks(whole)) continue
      if (!table.fits(change.table)) {
        table.lost = { from: { kind: 'position', logId, lsn: part.commitLsn }, reason: 'its definition changed' }
        continue
      }
      if (!this.#request.question.wants(change, table.table, table.spec)) continue
      table.take({ change, xid: whole, seq: this.#seq, time: this.#time })
      this.#seq += 1
      this.#waiting += 1
      this.#waitingBytes += (change.before?.length ?? 0) + (change.after?.length ?? 0)
    }
  }

  async *#flush(): AsyncGenerator<PastItem> {
    const events: NumberedEvent[] = []
    for (const table of this.#tables.values()) events.push(...(await table.flush()))
    this.#waiting = 0
    this.#waitingBytes = 0
    for (const { event } of events.sort((a, b) => a.seq - b.seq)) yield* this.#shown(event)
  }

  *#shown(event: HistoryEvent): Generator<PastItem> {
    const { question, interval } = this.#request
    const isShown = question.shows(event)
    if (isShown && isSince(event.time, interval)) yield { kind: 'event', event }
  }

  /** What a whole table's rows hang on may not grow from snapshot to snapshot. */
  async *#restOnSnapshots(commitLsn: bigint): AsyncGenerator<PastItem> {
    for (;;) {
      const [next] = this.#ahead
      if (!next || parseLsn(next.position.lsn) > commitLsn) return
      yield* this.#flush()
      this.#ahead.shift()
      for (const [name, followed] of this.#tables) {
        const table = next.tables.find((each) => each.name === name)
        const isSameTable = table?.resolution === 'transaction' && !followed.lost && sameShape(table, followed.table)
        if (isSameTable && followed.base !== next) this.#tables.set(name, followed.over(next, table))
      }
      this.#byOid = byOid(this.#tables)
    }
  }

  /** Tables that are not followed go on from the snapshot; what they differ in lies in between. */
  async *#stopAt(snapshot: Manifest): AsyncGenerator<PastItem> {
    const { question, repository, interval } = this.#request
    const previous = this.#base
    const before = this.#tables
    this.#base = snapshot
    const lost = await this.#openLog(snapshot, repository, interval)
    const tables = new Map<string, FollowedTable>()
    for (const table of question.tables(snapshot)) {
      const known = before.get(table.name)
      before.delete(table.name)
      if (known && !known.lost) {
        tables.set(table.name, known)
        continue
      }
      const reason =
        lost ?? (table.resolution === 'transaction' ? null : (table.resolutionReason ?? 'its changes are not captured'))
      const followed = new FollowedTable(
        snapshot,
        table,
        this.#reader,
        reason === null ? null : { from: placeOf(snapshot), reason },
      )
      if (previous) yield* this.#between({ from: known ?? null, to: followed, previous, snapshot })
      else if (!question.isAll) await question.rows(snapshot, table, this.#reader)
      tables.set(table.name, followed)
    }
    for (const gone of before.values()) {
      yield* this.#between({ from: gone, to: null, previous: previous ?? snapshot, snapshot })
    }
    this.#tables = tables
    this.#byOid = byOid(tables)
    const isAhead = question.isAll && isLogged(snapshot) && snapshot.log.logId === this.#past?.logId
    if (isAhead) this.#ahead.push(snapshot)
  }

  /** @returns why nothing is followed from this snapshot on, or null */
  async #openLog(snapshot: Manifest, repository: Repository, interval: Interval): Promise<string | null> {
    if (!isLogged(snapshot)) return 'the snapshot before does not stand on a change log'
    if (this.#past && this.#past.logId === snapshot.log.logId && !this.#past.broken) return null
    await this.#past?.close()
    const opened = await LoggedPast.open(repository, snapshot, interval)
    this.#past = opened instanceof LoggedPast ? opened : null
    this.#ahead = []
    return opened instanceof LoggedPast ? null : opened.message
  }

  async *#between(pair: SnapshotPair): AsyncGenerator<PastItem> {
    const { from, to, previous, snapshot } = pair
    const { position, snapshotId } = snapshot
    const since: NotFollowed = from?.lost ?? { from: placeOf(previous), reason: from ? 'it is gone' : 'it is new' }
    const later = { snapshotId, time: position.sourceTime, lsn: position.lsn }
    const time: BetweenTime = { kind: 'between', from: since.from, to: later, reason: since.reason }
    const { question } = this.#request
    for await (const item of between({ from, to, question, reader: this.#reader, time })) {
      if (item.kind === 'gap') yield item
      else yield* this.#shown(item.event)
    }
  }

  #close(past: LoggedPast, isReached: Parameters<LoggedPast['takeClosings']>[0]): void {
    for (const { table, reason, from, segment } of past.takeClosings(isReached)) {
      const followed = this.#tables.get(table)
      if (!followed || followed.lost) continue
      const { log } = followed.base
      if (log?.head && segment <= log.head.segment) continue
      followed.lost = { from: { kind: 'position', logId: past.logId, lsn: from }, reason }
    }
  }

  #loseAll(reason: string): void {
    const past = this.#past
    if (!past) return
    for (const table of this.#tables.values()) {
      table.lost ??= { from: { kind: 'position', logId: past.logId, lsn: past.reached }, reason }
    }
  }

  *#whatIsNotKnown(passedOver: string | null): Generator<PastItem> {
    for (const { lost, table } of this.#tables.values()) {
      if (lost) yield { kind: 'gap', gap: { table: table.name, reason: lost.reason, from: lost.from } }
    }
    assert(this.#base !== null, 'there is a snapshot')
    if (passedOver) yield { kind: 'gap', gap: { table: '*', reason: passedOver, from: placeOf(this.#base) } }
  }
}

function byOid(tables: ReadonlyMap<string, FollowedTable>): Map<string, FollowedTable> {
  return new Map([...tables.values()].map((followed) => [followed.table.oid, followed]))
}

export function placeOf({ snapshotId, position }: Manifest): HistoryPlace {
  return { kind: 'snapshot', snapshotId, time: position.sourceTime }
}

function sameShape(a: TableManifest, b: TableManifest): boolean {
  const shape = ({ oid, columns, primaryKey, anchor }: TableManifest) =>
    JSON.stringify([oid, columns.map(({ name }) => name), primaryKey, anchor])
  return shape(a) === shape(b)
}
