/**
 * The rows of a database at a moment, as trees: those of a snapshot, advanced by part of the change log.
 *
 *     snapshot's trees ─┐
 *     change log ───────┴─ fold ─→ scratch directory (overlay.ts) ─→ a manifest and a repository like any other
 *
 * What is made lies over the repository and never gets into it; disposal takes it away. Everything that reads a snapshot
 * reads a state: restore, compare, one patient's rows.
 */
import type { LoggedPart, TransactionStamp } from '../change-log/change.ts'
import type { FoldCounts } from '../fold/fold-table.ts'
import { type FoldedTables, foldTables } from '../fold/fold-tables.ts'
import { formatLsn, parseLsn } from '../lsn.ts'
import type { Manifest, TableManifest } from '../manifest.ts'
import { PackWriter } from '../pack/pack-writer.ts'
import { Repository } from '../repository.ts'
import { openDirectoryStore } from '../store/directory.ts'
import { makeScratch, OverlayStore } from '../store/overlay.ts'
import { tableSpec } from '../table-spec.ts'
import { isVisible, parseVisibility, WholeXids } from '../visibility.ts'
import { formatTimeUs } from './moment.ts'
import { ofOneHistory } from './other-history.ts'
import { isLogged, type LoggedManifest, type LogStretch, type StateTarget } from './target.ts'

export interface State extends AsyncDisposable {
  /** Of the base, with the roots of the state. Nothing carries on from it. */
  readonly manifest: Manifest
  /** For reading: the repository with what was folded laid over it. */
  readonly repository: Repository
  /** What led here from the base; null where the base itself is the state. */
  readonly folded: FoldReport | null
}

export interface FoldReport {
  readonly segments: number
  readonly transactions: number
  readonly changes: number
  /** By table: only those that changed. */
  readonly tables: ReadonlyMap<string, FoldCounts>
}

export interface StateWorld {
  /** Of this machine, for scratch: as large as what changed, in leaves. */
  readonly temporaryDirectory: string
  readonly random: (bytes: number) => Uint8Array
  readonly signal: AbortSignal
  readonly onProgress?: (progress: StateProgress) => void
}

export type StateProgress =
  | { readonly kind: 'segment'; readonly segment: number; readonly of: number }
  | { readonly kind: 'table'; readonly table: string }

/**
 * @throws change-log-gap when the log is not whole, or does not fit the snapshot; repository-damaged, object-missing;
 * local-disk-full; store-…
 */
export async function stateAt(repository: Repository, target: StateTarget, world: StateWorld): Promise<State> {
  const { base, along, transaction } = target
  if (along === null || !isLogged(base)) return theSnapshotItself(repository, base)
  const visible = parseVisibility(base.position.visible)
  const whole = new WholeXids(visible.xmax)
  const closed = new Set(target.closed.map(({ table }) => table))
  const state = await advance(repository, world, {
    base,
    stretch: along,
    accept: (stamp) => !isVisible(visible, whole.of(stamp)),
    isFolded: ({ name }) => !closed.has(name),
  })
  const lsn = formatLsn(along.bound)
  const sourceTime = transaction ? formatTimeUs(transaction.commitTimeUs) : base.position.sourceTime
  return { ...state, manifest: { ...state.manifest, position: { ...base.position, lsn, sourceTime } } }
}

export function theSnapshotItself(repository: Repository, manifest: Manifest): State {
  return { manifest, repository, folded: null, [Symbol.asyncDispose]: async () => {} }
}

export interface Advance {
  readonly base: LoggedManifest
  readonly stretch: LogStretch
  /** Of transactions that end at or before the stretch's bound: whether they belong, and are not in the base. */
  readonly accept: (stamp: TransactionStamp) => boolean
  /** Of tables that can be told to the transaction: others stay as they are in the base. */
  readonly isFolded: (table: TableManifest) => boolean
}

/** @throws as `stateAt` */
export async function advance(repository: Repository, world: StateWorld, request: Advance): Promise<State> {
  await using stack = new AsyncDisposableStack()
  const scratch = stack.use(await makeScratch(world.temporaryDirectory))
  const above = await openDirectoryStore(scratch.url)
  stack.defer(() => above.close())
  const store = new OverlayStore(repository.store, above)
  const storeSettings = { ...repository.storeSettings, scratchUrl: scratch.url }
  const overlaid = new Repository({ id: repository.id, store, storeSettings, keyring: repository.keyring })

  const folded = await fold(overlaid, world, request)
  const { base, stretch } = request
  const changed = new Map([...folded.tables].filter(([, { counts }]) => isChanged(counts)))
  const manifest: Manifest = {
    ...base,
    log: null,
    tables: base.tables.map((table) => {
      const { rows, locator } = changed.get(table.name) ?? table
      return { ...table, rows, locator }
    }),
  }
  const own = stack.move()
  return {
    manifest,
    repository: overlaid,
    folded: {
      segments: Math.max(0, stretch.toSegment - stretch.fromSegment + 1),
      transactions: folded.transactionCount,
      changes: folded.changeCount,
      tables: new Map([...changed].map(([name, { counts }]) => [name, counts])),
    },
    [Symbol.asyncDispose]: () => own.disposeAsync(),
  }
}

async function fold(overlaid: Repository, world: StateWorld, request: Advance): Promise<FoldedTables> {
  const { base, stretch, accept, isFolded } = request
  const { keyring, store } = overlaid
  const packs = { store, dataKey: keyring.currentDataKey, random: world.random }
  const leafPacks = new PackWriter(packs)
  const nodePacks = new PackWriter(packs)
  const tables = base.tables.filter((table) => table.resolution === 'transaction' && isFolded(table))
  const folded = await foldTables({
    tables: tables.map((table) => ({
      oid: table.oid,
      spec: tableSpec(table),
      columns: table.columns.map(({ name }) => name),
      rows: table.rows,
      locator: table.locator,
    })),
    transactions: transactionsOf(stretch, base, world),
    accept,
    chunks: overlaid.chunkReader(),
    changeTree: false,
    keys: keyring.secrets,
    leafPacks,
    nodePacks,
    spillDirectory: world.temporaryDirectory,
    signal: world.signal,
    onTable: (table) => world.onProgress?.({ kind: 'table', table }),
  })
  await leafPacks.flush()
  await nodePacks.flush()
  return folded
}

/**
 * The signed manifest says which segment was the newest when it was written: the log must still have that one.
 * @throws history-differs, change-log-gap
 */
export async function* transactionsOf(
  { log, fromSegment, toSegment, bound }: LogStretch,
  base: LoggedManifest,
  { onProgress }: Pick<StateWorld, 'onProgress'>,
): AsyncGenerator<LoggedPart> {
  const { head, scanFrom } = base.log
  let at = -1
  const anchors = head && head.segment >= fromSegment ? [head] : []
  const parts = log.transactions({ fromSegment, fromLsn: parseLsn(scanFrom), toLsn: bound, anchors })
  for await (const part of ofOneHistory(parts, base)) {
    if (part.segment !== at) onProgress?.({ kind: 'segment', segment: part.segment, of: toSegment })
    at = part.segment
    yield part
  }
}

function isChanged({ gross }: FoldCounts): boolean {
  return gross.inserts + gross.updates + gross.deletes + gross.truncates > 0
}
