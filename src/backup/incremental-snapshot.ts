/**
 * A snapshot for the cost of what changed: the trees of the snapshot before, advanced along the change log to the
 * position of a read. The read takes the position, the schema and the sequences, and the rows of those tables of which
 * the log does not tell everything; all tables are as of that one position.
 *
 *     log ├── seal ── closed so far? ──┼── read: V ──┼── seal ── closed meanwhile? then again
 *                                      └ changes not visible in the snapshot before, and visible in V ─→ fold
 */
import { planTables, type TablePlan } from '../intake/table-plan.ts'
import type { SegmentHead } from '../repository/change-log/segment-store.ts'
import { parseLsn } from '../repository/lsn.ts'
import type { Manifest, TableManifest } from '../repository/manifest.ts'
import { ofOneHistory } from '../repository/state/other-history.ts'
import { tableSpec } from '../repository/table-spec.ts'
import { locatorSpec } from '../repository/tree/spec.ts'
import { storedNodes } from '../repository/tree/stored-leaves.ts'
import { TreeReader } from '../repository/tree/tree-reader.ts'
import { isUntold, isVisible, parseVisibility, WholeXids } from '../repository/visibility.ts'
import type { ConsistentRead, SchemaInfo } from '../source/contract.ts'
import type { AdoptedPacks } from './adopt-packs.ts'
import { decideFold, type FoldDecision } from './incremental-plan.ts'
import { closedBetween, type LogLink, NotAlongTheLog } from './log-link.ts'
import { Leftovers, type LoggedManifest, lateTables, placeOf } from './log-place.ts'
import { SnapshotProgress } from './progress.ts'
import type { SnapshotRequest } from './snapshot.ts'
import { SnapshotRun } from './snapshot-run.ts'
import { tablesSince } from './tables-since.ts'
import { together } from './together.ts'
import type { Gathered } from './write-snapshot.ts'

export interface IncrementalParts {
  readonly link: LogLink
  readonly previous: LoggedManifest
  /** All tables, before any lock. */
  readonly schema: SchemaInfo
  readonly adopted: AdoptedPacks
}

const LOCK_TIMEOUT_MS = 5_000
/** Definitions that change while a snapshot is taken: how often to begin again. */
const TRIES = 3
const TABLES_NAMED = 3

/** @throws NotAlongTheLog; whatever reading, folding and storing throws */
export async function takeIncremental(
  request: SnapshotRequest,
  parts: IncrementalParts,
): Promise<{ readonly run: SnapshotRun; readonly gathered: Gathered }> {
  for (let tries = 1; ; tries += 1) {
    const schema = tries === 1 ? parts.schema : await request.source.introspect()
    const taken = await tryIncremental(request, { ...parts, schema }, tries === TRIES)
    if (taken !== 'tables-changed') return taken
    if (tries === TRIES) throw new NotAlongTheLog('definitions of tables kept changing while the snapshot was taken')
  }
}

/** @param isLast tables that are made all the time keep no snapshot from being taken */
async function tryIncremental(request: SnapshotRequest, parts: IncrementalParts, isLast: boolean) {
  const { link, previous, adopted, schema } = parts
  const before = await link.catchUp()
  const horizon = await link.xidHorizon()
  const plans = planTables(schema, request.layout)
  const closedBefore = await closedBetween(link.log, previous.log.head?.segment ?? null, before.header.number)
  const { fold, read: toRead } = await decide(request, { ...parts, plans, closed: closedBefore })
  if (fold.length === 0 && toRead.length > 0) throw new NotAlongTheLog(`no table can be folded: ${reasons(toRead)}`)

  const taken = await readSome(request, { toRead, schema, previous, adopted }, isLast)
  if (taken === 'tables-changed') return taken
  const { run, read, bytesRead, ddl, readPlans, madeMeanwhile } = taken
  if (isUntold(read.position.visible)) throw new NotAlongTheLog('where the read stands in the change log is not known')
  const after = await link.catchUp()
  const closed = await closedBetween(link.log, before.header.number, after.header.number)
  if (plans.some(({ table }) => closed.has(table.name))) return 'tables-changed'

  const { leftovers, folded } = await foldAlong(request, {
    run,
    link,
    previous,
    after,
    visible: read.position.visible,
    fold,
  })
  const late = lateTables(read.position.visible, {
    tables: readPlans.map(({ table }) => table.name),
    previous,
    closed: closedBefore,
    horizon,
  })
  const resolutions = await link.resolutions(closed, late)
  const scanFrom = leftovers.first ?? after.header.end
  const log = await placeOf({ log: link.log, scanFrom, head: after, transactions: folded.transactions })
  const tables = [
    ...fold.map(({ plan }) => run.foldedTable(plan, folded.tables.get(plan.table.name)!)),
    ...readPlans.map((plan) => run.readTable(plan, resolutions.get(plan.table.name) ?? null)),
  ].sort(byName)
  const { identity, position } = read
  const gathered: Gathered = {
    mode: 'incremental',
    modeReason: describe(previous, fold.length, toRead),
    ...{ identity, position, schema: read.schema, tables, ddl, bytesRead, log },
    madeMeanwhile,
    folded: { transactions: folded.transactionCount, changes: folded.changeCount },
  }
  return { run, gathered }
}

interface DecideParts extends IncrementalParts {
  readonly plans: readonly TablePlan[]
  /** Since the snapshot before. */
  readonly closed: ReadonlySet<string>
}

async function decide(request: SnapshotRequest, parts: DecideParts): Promise<FoldDecision> {
  const { link, previous, plans, closed, adopted } = parts
  return decideFold({
    ...{ previous, plans, closed },
    resolutions: await link.resolutions(new Set()),
    damaged: await tablesWithLoss(request, previous, adopted.lostPacks),
  })
}

/** Nothing is looked at as long as no pack is lost. */
export async function tablesWithLoss(
  { repository }: SnapshotRequest,
  previous: Manifest,
  lostPacks: ReadonlySet<string>,
): Promise<Set<string>> {
  const damaged = new Set<string>()
  if (lostPacks.size === 0) return damaged
  const chunks = repository.chunkReader()
  const keys = repository.keyring.secrets
  for (const table of previous.tables) {
    const spec = tableSpec(table)
    const locator = locatorSpec(spec)
    const rows = await storedNodes(new TreeReader(spec, chunks, keys), table.rows, lostPacks)
    const isLocatorLost =
      locator !== null &&
      table.locator !== null &&
      (await storedNodes(new TreeReader(locator, chunks, keys), table.locator, lostPacks)).damaged
    if (rows.damaged || isLocatorLost) damaged.add(table.name)
  }
  return damaged
}

interface ReadParts extends Pick<IncrementalParts, 'schema' | 'previous' | 'adopted'> {
  readonly toRead: FoldDecision['read']
}

/** Its locks are given back on return. */
async function readSome(request: SnapshotRequest, { toRead, schema, previous, adopted }: ReadParts, isLast: boolean) {
  const { source, signal, layout, nowMs, onProgress, lockTimeoutMs = LOCK_TIMEOUT_MS } = request
  const names = new Set(toRead.map(({ plan }) => plan.table.name))
  await using read: ConsistentRead = await source.openRead({ tables: [...names], signal, lockTimeoutMs })
  const { made, gone } = tablesSince(schema, read)
  if (gone.length > 0 || (made.length > 0 && !isLast)) return 'tables-changed'
  const readPlans = plansOf(read, { schema, names, layout })
  const progress = new SnapshotProgress(readPlans, nowMs, onProgress)
  const run = new SnapshotRun(request, { read, previous, adopted, progress })
  const [bytesRead, ddl] = await together(signal, (stop) => [run.buildTrees(readPlans, stop), read.readDdl()] as const)
  return { run, read, bytesRead, ddl, readPlans, madeMeanwhile: made }
}

/** The tables as the read has them; the way to the patient may lead through tables that are not read. */
function plansOf(
  read: ConsistentRead,
  {
    schema,
    names,
    layout,
  }: Pick<ReadParts, 'schema'> & Pick<SnapshotRequest, 'layout'> & { readonly names: Set<string> },
): TablePlan[] {
  const locked = new Map(read.schema.tables.map((table) => [table.name, table]))
  const tables = schema.tables.map((table) => locked.get(table.name) ?? table)
  return planTables({ ...schema, tables }, layout).filter(({ table }) => names.has(table.name))
}

interface FoldParts {
  readonly run: SnapshotRun
  readonly link: LogLink
  readonly previous: LoggedManifest
  readonly after: SegmentHead
  readonly visible: string
  readonly fold: FoldDecision['fold']
}

async function foldAlong({ signal }: SnapshotRequest, { run, link, previous, after, visible, fold }: FoldParts) {
  const then = parseVisibility(previous.position.visible)
  const whole = new WholeXids(then.xmax)
  const leftovers = new Leftovers(parseVisibility(visible), then.xmax)
  const { scanFrom, scanSegment, head } = previous.log
  const transactions = link.log.transactions({
    fromSegment: scanSegment,
    fromLsn: parseLsn(scanFrom),
    toLsn: after.header.end,
    anchors: head === null ? [] : [head],
  })
  const folded = await run.fold(
    fold.map((each) => each.previous),
    {
      transactions: ofOneHistory(transactions, previous),
      accept: (stamp) => {
        const wasThere = isVisible(then, whole.of(stamp))
        return leftovers.pass(stamp) && !wasThere
      },
      signal,
    },
  )
  return { leftovers, folded }
}

function describe({ snapshotId }: Manifest, folded: number, read: FoldDecision['read']): string {
  const carried = `${folded} tables carried on from ${snapshotId} along the change log`
  return read.length === 0 ? carried : `${carried}, ${read.length} read: ${reasons(read)}`
}

/** Of tables that are read, for people. */
export function reasons(read: FoldDecision['read']): string {
  const named = read.slice(0, TABLES_NAMED).map(({ plan, reason }) => `${plan.table.name} (${reason})`)
  return read.length > TABLES_NAMED ? `${named.join(', ')} and ${read.length - TABLES_NAMED} more` : named.join(', ')
}

function byName(a: TableManifest, b: TableManifest): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}
