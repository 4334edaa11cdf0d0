/**
 * A snapshot for the cost of what changed, without a change log: where the database can say which keys may have changed
 * since the snapshot before, their rows are read and worked into its trees; every other table is read in full.
 *
 *     read ├── marks for the next snapshot
 *          ├── table: what changed since the last one's mark ─→ look up ─→ fold ─→ as many rows as the database has?
 *          └── the others: every row
 *
 * Nothing is known of moments in between: the snapshot takes no place in a change log, and its tables say how they came.
 * What the database tells is not taken on trust: a count that differs, a row that does not fit, marks that are gone are
 * each a reason to read the table. Once a week it is read in any case, at the position at which it was folded: both must
 * come to one root, and where they do not, the snapshots in between lack something, and it is said.
 */
import { Failure } from '../errors.ts'
import { includedTables, planTables, type TablePlan } from '../intake/table-plan.ts'
import type { FoldedTable } from '../repository/fold/fold-table.ts'
import type { Manifest, TableManifest } from '../repository/manifest.ts'
import type { ConsistentRead, SchemaInfo } from '../source/contract.ts'
import type { NetChanges, NetRow, NetTable } from '../source/net-contract.ts'
import type { AdoptedPacks } from './adopt-packs.ts'
import { isSameShape } from './incremental-plan.ts'
import { reasons, tablesWithLoss } from './incremental-snapshot.ts'
import { NotAlongTheLog } from './log-link.ts'
import { SnapshotProgress } from './progress.ts'
import type { SnapshotRequest } from './snapshot.ts'
import { SnapshotRun } from './snapshot-run.ts'
import { changedMeanwhile, tablesSince } from './tables-since.ts'
import { together } from './together.ts'
import type { Gathered } from './write-snapshot.ts'

export interface NetParts {
  /** Of this source, with marks. */
  readonly previous: Manifest
  /** All tables, before any lock. */
  readonly schema: SchemaInfo
  readonly isLast: boolean
  readonly adopted: AdoptedPacks
}

interface Carried {
  readonly plan: TablePlan
  readonly since: string
  readonly folded: FoldedTable
  readonly changes: number
  /** As the table before has it. */
  readonly readAt: string
}

interface Unread {
  readonly plan: TablePlan
  readonly reason: string
  /** What its net changes came to, to be held against what is read; and since when. */
  readonly proof?: { readonly digest: string; readonly since: string }
}

const LOCK_TIMEOUT_MS = 5_000
/** Of a table, from which on reading it costs less than looking its changes up; and how many are few in any case. */
const SHARE_MAX = 1 / 4
const FEW_ROWS = 10_000
/** For so long a table is carried on before it is read again. */
const UNREAD_MS_MAX = 7 * 24 * 3_600_000

/** Whether a snapshot can be carried on from `previous`. */
export function hasMarks(previous: Manifest | null): previous is Manifest {
  return (previous?.tables ?? []).some(({ netMark }) => netMark !== undefined)
}

/** @throws NotAlongTheLog where every row has to be read after all; whatever reading, folding and storing throws */
export async function takeByNetChanges(
  request: SnapshotRequest,
  parts: NetParts,
): Promise<{ readonly run: SnapshotRun; readonly gathered: Gathered }> {
  const { source, layout, signal, lockTimeoutMs = LOCK_TIMEOUT_MS } = request
  const { previous, schema, isLast, adopted } = parts
  const tables = includedTables(schema, layout).map(({ name }) => name)
  await using read = await source.openRead({ tables, signal, lockTimeoutMs, netChanges: true })
  if (!read.netChanges) throw new NotAlongTheLog('the source does not tell net changes any more')
  const { made } = tablesSince(schema, read)
  if (made.length > 0 && !isLast) throw changedMeanwhile({ made, gone: [] })
  const plans = planTables(read.schema, layout)
  const progress = new SnapshotProgress(plans, request.nowMs, request.onProgress)
  const run = new SnapshotRun(request, { read, previous, adopted, progress })
  const damaged = await tablesWithLoss(request, previous, adopted.lostPacks)

  const told = new Told()
  const outcomes: (Carried | Unread)[] = []
  for (const plan of plans) {
    const before = previous.tables.find(({ name }) => name === plan.table.name)
    outcomes.push(await carryOn(run, { plan, before, damaged, read, net: read.netChanges, told, signal }))
  }
  return { run, gathered: await gather(request, { ...parts, run, read, outcomes, told, made }) }
}

interface GatherParts extends NetParts {
  readonly run: SnapshotRun
  readonly read: ConsistentRead
  readonly outcomes: readonly (Carried | Unread)[]
  readonly told: Told
  readonly made: readonly string[]
}

async function gather({ signal }: SnapshotRequest, parts: GatherParts): Promise<Gathered> {
  const { run, read, outcomes, told, made, previous } = parts
  const toRead = outcomes.filter((each): each is Unread => 'reason' in each)
  const carried = outcomes.filter((each): each is Carried => 'folded' in each)
  const plans = toRead.map(({ plan }) => plan)
  const [bytesRead, ddl] = await together(signal, (stop) => [run.buildTrees(plans, stop), read.readDdl()] as const)
  // What was lost is named first: not every table is.
  const unread = toRead.map((each) => proved(run, each)).sort((a, b) => Number(b.isLoss) - Number(a.isLoss))
  const reasonOf = new Map(unread.map(({ plan, reason }) => [plan, reason]))
  const { identity, position, schema } = read
  return {
    mode: carried.length > 0 ? 'incremental' : 'full-read',
    modeReason: describe(previous, carried.length, unread),
    ...{ identity, position, schema, ddl, log: null, madeMeanwhile: made },
    tables: outcomes.map((each) =>
      'folded' in each ? carriedTable(run, each) : readTable(run, each.plan, reasonOf.get(each.plan) ?? each.reason),
    ),
    bytesRead: bytesRead + told.bytes,
    folded: { transactions: 0, changes: carried.reduce((sum, { changes }) => sum + changes, 0) },
  }
}

/** A table that was folded and read, too: where both differ, what it was folded from lacked something already. */
function proved(run: SnapshotRun, { plan, reason, proof }: Unread) {
  if (!proof || readTable(run, plan, null).rows.digest === proof.digest) return { plan, reason, isLoss: false }
  run.changesLeftOut.set(plan.table.name, proof.since)
  const loss = `its net changes left something out: snapshots since that of ${proof.since} may lack it`
  return { plan, reason: loss, isLoss: true }
}

function readTable(run: SnapshotRun, plan: TablePlan, resolutionReason: string | null): TableManifest {
  return run.readTable(plan, { resolution: 'snapshot', resolutionReason })
}

function carriedTable(run: SnapshotRun, { plan, folded, since, readAt }: Carried): TableManifest {
  const resolutionReason = `net changes since ${since}: nothing is known of moments in between`
  return run.foldedTable(plan, folded, { resolution: 'snapshot', resolutionReason, readAt })
}

function describe({ snapshotId }: Manifest, carried: number, unread: readonly Unread[]): string {
  if (carried === 0) return `net changes carry no table on (${reasons(unread)}): every row was read`
  const by = `${carried} tables carried on from ${snapshotId} by net changes`
  return unread.length === 0 ? by : `${by}, ${unread.length} read: ${reasons(unread)}`
}

interface CarryOn {
  readonly plan: TablePlan
  readonly before: TableManifest | undefined
  readonly damaged: ReadonlySet<string>
  readonly read: ConsistentRead
  readonly net: NetChanges
  readonly told: Told
  readonly signal: AbortSignal
}

/** What went wrong with one table costs that table's reading; what went wrong with the connection ends the read. */
async function carryOn(run: SnapshotRun, { plan, before, damaged, read, net, told, signal }: CarryOn) {
  const { name } = plan.table
  const unread = (reason: string): Unread => ({ plan, reason })
  if (before === undefined) return unread('new')
  if (plan.spec.key.length === 0) return unread('no primary key')
  if (damaged.has(name)) return unread('the last snapshot lost something of it')
  if (!isSameShape(plan, before)) return unread('it is kept in another way than in the last snapshot')
  const { netMark, readAt } = before
  if (netMark === undefined || readAt === undefined)
    return unread('its changes were not tracked when the last snapshot was taken')
  try {
    const table = await net.since(name, netMark)
    if ('refused' in table) return unread(table.refused)
    const limit = Math.max(FEW_ROWS, before.rows.rows * SHARE_MAX)
    const counter = { rows: 0 }
    const folded = await run.foldRows(plan, before, told.watch(table, { counter, limit, signal }), signal)
    const rows = await table.confirm()
    if (typeof rows !== 'number') return unread(rows.refused)
    if (rows !== folded.rows.rows) {
      return unread(`by its net changes it would have ${folded.rows.rows} rows, the source has ${rows}`)
    }
    if (Date.parse(read.position.sourceTime) - Date.parse(readAt) < UNREAD_MS_MAX) {
      return { plan, since: table.since, folded, readAt, changes: counter.rows }
    }
    const proof = { digest: folded.rows.digest, since: readAt }
    return { ...unread('read once a week, which proves its net changes'), proof }
  } catch (error) {
    if (error instanceof TooMany) return unread('too many of its rows changed since the last snapshot')
    if (!(error instanceof Failure)) throw error
    if (error.code === 'change-log-gap') return unread('its net changes do not fit the last snapshot')
    if (['repository-damaged', 'object-missing'].includes(error.code)) return unread('the last snapshot cannot be read')
    // A statement that failed may have ended the read's transaction: nothing more may be read in it.
    if (error.code === 'source-failed') throw new NotAlongTheLog(`net changes cannot be had: ${error.message}`)
    throw error
  }
}

class TooMany extends Error {}

/** What came, of all tables. */
class Told {
  bytes = 0

  async *watch(
    { rows }: NetTable,
    { counter, limit, signal }: { counter: { rows: number }; limit: number; signal: AbortSignal },
  ): AsyncGenerator<readonly NetRow[]> {
    for await (const batch of rows) {
      signal.throwIfAborted()
      counter.rows += batch.length
      if (counter.rows > limit) throw new TooMany()
      for (const { key, line } of batch) {
        this.bytes += (line?.length ?? 0) + key.reduce((sum, field) => sum + field.length, 0)
      }
      yield batch
    }
  }
}
