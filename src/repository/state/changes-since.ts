/**
 * What the change log says about a few rows since a snapshot: a state for whoever wants one patient and not a database.
 *
 *     state.ts             folds every change into trees: a database at a moment
 *     changes-since.ts     reads the log once, puts the changes aside by table, and tells those of the rows asked for
 *
 * No tree is made and no row of anybody else is looked at, so that the cost is the log's and the rows', not the table's.
 */
import { FIELD_NOT_SENT } from '../change-log/change.ts'
import { ChangeSpool } from '../fold/change-spool.ts'
import type { FoldChange } from '../fold/fold-change.ts'
import { spoolChanges } from '../fold/fold-tables.ts'
import { asBuffer, findFields } from '../fold/line-fields.ts'
import { NetChanges } from '../fold/net-changes.ts'
import { formatLsn } from '../lsn.ts'
import type { Manifest, TableManifest } from '../manifest.ts'
import { tableSpec } from '../table-spec.ts'
import { isVisible, parseVisibility, WholeXids } from '../visibility.ts'
import { formatTimeUs } from './moment.ts'
import { type StateWorld, transactionsOf } from './state.ts'
import { isLogged, type StateTarget } from './target.ts'

/** Which rows of a table: those of these keys, or of these anchors, at the snapshot, at the end, or in between. */
export interface WantedRows {
  /** Key fields of a line, a tab between, latin1. */
  readonly keys: ReadonlySet<string>
  /** Fields of a line, latin1. */
  readonly anchors: ReadonlySet<string>
}

export interface ChangesSince extends Disposable {
  /** Of the snapshot, its trees as they are there; its position is the moment's. */
  readonly manifest: Manifest
  /** Whether anything of it changed. Asked first, for nothing has to be prepared then. */
  touches(table: TableManifest): boolean
  /**
   * What became of the rows wanted, and of every row that had one of their keys; null for all rows.
   * @throws change-log-gap when the changes do not fit each other; local-disk-full
   */
  changesOf(table: TableManifest, wanted: WantedRows | null): NetChanges
}

export type ChangesWorld = Pick<StateWorld, 'temporaryDirectory' | 'signal'>

/** Changes that wait in memory; more go to an encrypted file. */
const MEMORY_BYTES = 64 * 1024 * 1024

/**
 * @param isWanted tables that will be asked about: changes of others are passed over
 * @throws change-log-gap; repository-damaged, object-missing; local-disk-full; store-…
 */
export async function changesSince(
  target: StateTarget,
  world: ChangesWorld,
  isWanted: (table: TableManifest) => boolean,
): Promise<ChangesSince> {
  const { base, along, transaction, closed } = target
  const spool = new ChangeSpool(world.temporaryDirectory, MEMORY_BYTES)
  if (along === null || !isLogged(base)) return answering(base, spool)
  const visible = parseVisibility(base.position.visible)
  const whole = new WholeXids(visible.xmax)
  const closedNames = new Set(closed.map(({ table }) => table))
  const isTold = (table: TableManifest) => table.resolution === 'transaction' && !closedNames.has(table.name)
  try {
    await spoolChanges(
      {
        tables: base.tables.filter((table) => isTold(table) && isWanted(table)).map(foldedFrom),
        transactions: transactionsOf(along, base, {}),
        accept: (stamp) => !isVisible(visible, whole.of(stamp)),
        signal: world.signal,
      },
      spool,
    )
  } catch (error) {
    spool[Symbol.dispose]()
    throw error
  }
  const sourceTime = transaction ? formatTimeUs(transaction.commitTimeUs) : base.position.sourceTime
  return answering(
    { ...base, log: null, position: { ...base.position, lsn: formatLsn(along.bound), sourceTime } },
    spool,
  )
}

function foldedFrom(table: TableManifest) {
  const { oid, rows, locator, columns } = table
  return { oid, rows, locator, spec: tableSpec(table), columns: columns.map(({ name }) => name) }
}

function answering(manifest: Manifest, spool: ChangeSpool): ChangesSince {
  const touched = new Set(spool.tableNames)
  return {
    manifest,
    touches: ({ name }) => touched.has(name),
    changesOf: (table, wanted) => {
      const net = new NetChanges(tableSpec(table), false)
      const concerned = wanted && new Concerned(table, wanted)
      // A row may come to be wanted late, when its key or its anchor changes: then what it was before is wanted, too.
      while (concerned?.grows(spool.look(table.name)));
      for (const batch of spool.look(table.name)) {
        for (const change of batch) if (concerned === null || concerned.has(change)) net.apply(change)
      }
      return net
    },
    [Symbol.dispose]: () => spool[Symbol.dispose](),
  }
}

/** Keys of the rows wanted, whatever key they bore in between. */
class Concerned {
  readonly #keys: Set<string>
  readonly #anchors: ReadonlySet<string>
  readonly #key: readonly number[]
  readonly #anchor: number | null
  readonly #bounds: Uint32Array

  constructor(table: TableManifest, { keys, anchors }: WantedRows) {
    const { key, anchor, fieldCount } = tableSpec(table)
    this.#keys = new Set(keys)
    this.#anchors = anchors
    this.#key = key
    this.#anchor = anchor
    this.#bounds = new Uint32Array(fieldCount + 1)
  }

  has(change: FoldChange): boolean {
    if (change.kind === 'truncate') return true
    return told(change).some((line) => this.#keys.has(this.#look(line).key))
  }

  /** Whether one pass over the changes brought keys that were not known. */
  grows(batches: Iterable<readonly FoldChange[]>): boolean {
    const before = this.#keys.size
    for (const batch of batches) for (const change of batch) this.#take(change)
    return this.#keys.size > before
  }

  #take(change: FoldChange): void {
    const rows = told(change).map((line) => this.#look(line))
    const isWanted = rows.some(({ key, anchor }) => this.#keys.has(key) || this.#anchors.has(anchor))
    if (isWanted) for (const { key } of rows) this.#keys.add(key)
  }

  /** A field that was not sent is nobody's: no value has this text. */
  #look(line: Uint8Array): { readonly key: string; readonly anchor: string } {
    // A line of another number of fields is refused where it is applied.
    findFields(line, this.#bounds)
    const text = asBuffer(line)
    const field = (number: number) => text.toString('latin1', this.#bounds[number], this.#bounds[number + 1]! - 1)
    const key = this.#key.length === 1 ? field(this.#key[0]!) : this.#key.map(field).join('\t')
    return { key, anchor: this.#anchor === null || this.#anchors.size === 0 ? FIELD_NOT_SENT : field(this.#anchor) }
  }
}

function told({ before, after }: FoldChange): Uint8Array[] {
  return [before, after].filter((line) => line !== null)
}
