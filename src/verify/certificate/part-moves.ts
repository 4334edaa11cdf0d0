/**
 * Rows that went from one part of a partitioned table to another: its partition key was changed, or a new part took over
 * what lay in the default one. Each part by itself knows a row that went, or one that came:
 *
 *     vital_sign_202605   − 417  23:30  71           by one transaction, the same but for the columns by which the table
 *     vital_sign_202606   + 417  00:30  71           is parted, and the only ones that are: it moved, and is not lost
 *
 * What cannot be told apart for certain stays deleted and inserted.
 */
import { createHash } from 'node:crypto'
import { fieldsOf } from '../../repository/fold/line-fields.ts'
import type { Manifest } from '../../repository/manifest.ts'
import type { Repository } from '../../repository/repository.ts'
import type { Period } from './steps.ts'
import { type ChangeMoment, sharedColumns, type WalkedTable, walkTable } from './table-walk.ts'
import { isComparable, tableName, tablesOf } from './tables.ts'

/** A row of one part, without newline. */
export interface PartRow {
  readonly part: string
  readonly columns: readonly string[]
  readonly line: Buffer
  /** Null where nothing tells when it came or went. */
  readonly at: ChangeMoment | null
}

interface Went {
  readonly from: string
  readonly at: ChangeMoment | null
  /** Of all columns. */
  readonly digest: string
  to: string | null
  isPure: boolean
  /** Nothing else that went or came is like it. */
  isSingle: boolean
}

/** Some 150 bytes each. Where more went, a part was emptied: nothing is told apart then. */
const WENT_MAX = 200_000
const DIGEST_BYTES = 18

/** Of one partitioned table: first everything that went, then everything that came. */
export class PartMoves {
  readonly #partedBy: ReadonlySet<string>
  /** By what the row is, and when it went. */
  readonly #went = new Map<string, Went>()
  /** Of a known moment, by what the row is; null where several are alike. */
  readonly #told = new Map<string, Went | null>()
  #isFull = false

  /** @param partedBy columns of the partition key */
  constructor(partedBy: ReadonlySet<string>) {
    this.#partedBy = partedBy
  }

  get isEmpty(): boolean {
    return this.#isFull || this.#went.size === 0
  }

  went(row: PartRow): void {
    if (this.#isFull) return
    const id = digestOf(row, this.#partedBy)
    const key = id + momentId(row.at)
    const known = this.#went.get(key)
    if (known) {
      known.isSingle = false
      return
    }
    const digest = digestOf(row, NO_COLUMNS)
    const went: Went = { from: row.part, at: row.at, digest, to: null, isPure: false, isSingle: true }
    this.#went.set(key, went)
    if (row.at !== null) this.#told.set(id, this.#told.has(id) ? null : went)
    if (this.#went.size <= WENT_MAX) return
    this.#isFull = true
    this.#went.clear()
    this.#told.clear()
  }

  came(row: PartRow): void {
    const known = this.#pairOf(row)
    if (!known) return
    if (known.to !== null || row.part === known.from) known.isSingle = false
    known.to = row.part
    known.isPure = known.digest === digestOf(row, NO_COLUMNS)
  }

  /** `pure`: no column is another; `changed`: those of the partition key are; null: the row did not move. */
  of(side: 'went' | 'came', row: PartRow): 'pure' | 'changed' | null {
    if (this.isEmpty) return null
    const id = digestOf(row, this.#partedBy)
    const known = side === 'went' ? this.#went.get(id + momentId(row.at)) : this.#pairOf(row)
    if (!known?.isSingle || known.to === null) return null
    if (row.part !== (side === 'went' ? known.from : known.to)) return null
    return known.isPure ? 'pure' : 'changed'
  }

  /** What went at the same moment; or, where one of both has none (a part that is new is read, not told), the very same row. */
  #pairOf(row: PartRow): Went | null {
    if (this.isEmpty) return null
    const id = digestOf(row, this.#partedBy)
    const exact = this.#went.get(id + momentId(row.at))
    if (exact) return exact
    const other = row.at === null ? this.#told.get(id) : this.#went.get(id + momentId(null))
    return other && other.digest === digestOf(row, NO_COLUMNS) ? other : null
  }
}

const NO_COLUMNS: ReadonlySet<string> = new Set()

/** Parts may have their columns in orders of their own. */
function digestOf({ columns, line }: PartRow, without: ReadonlySet<string>): string {
  const hash = createHash('sha256')
  const fields = fieldsOf(line)
  const named = columns.map((name, index) => ({ name, field: fields[index]! })).filter(({ name }) => !without.has(name))
  for (const { name, field } of named.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    hash.update(`${name}\t${field.length}\t`).update(field)
  }
  return hash.digest().toString('latin1', 0, DIGEST_BYTES)
}

function momentId(at: ChangeMoment | null): string {
  return at === null ? '' : ` ${at.step} ${at.transaction}`
}

/** Those of the table that its definition names in its partition key. */
export function partitionColumns({ ddl, tables }: Manifest, table: string): ReadonlySet<string> {
  const made = ddl.steps.find(({ object, sql }) => object === `TABLE ${table}` && sql.includes(' PARTITION BY '))
  const key = made?.sql.slice(made.sql.lastIndexOf(' PARTITION BY ')) ?? ''
  const columns = tables.find(({ partitionOf }) => partitionOf === table)?.columns ?? []
  const words = new Set([...key.matchAll(/"((?:[^"]|"")+)"|([\w$]+)/g)].map(([, quoted, plain]) => quoted ?? plain))
  return new Set(columns.map(({ name }) => name).filter((name) => words.has(name)))
}

/** By partitioned table; those of which nothing moved are not there. @throws repository-damaged, store-… */
export async function readPartMoves(repository: Repository, period: Period): Promise<Map<string, PartMoves>> {
  const found = new Map<string, PartMoves>()
  const parts = tablesOf(period).filter((table) => isComparable(table) && isPart(table))
  for (const [name, group] of Map.groupBy(parts, tableName)) {
    if (group.length < 2) continue
    const moves = new PartMoves(partitionColumns(period.end, name))
    for (const side of ['went', 'came'] as const) {
      if (side === 'came' && moves.isEmpty) break
      for (const table of group) await noteSide(repository, period, table, side, moves)
    }
    if (!moves.isEmpty) found.set(name, moves)
  }
  return found
}

function isPart({ before, after }: WalkedTable): boolean {
  return (after ?? before)!.partitionOf !== null
}

async function noteSide(
  repository: Repository,
  { steps }: Period,
  table: WalkedTable,
  side: 'went' | 'came',
  moves: PartMoves,
): Promise<void> {
  const part = (table.after ?? table.before)!.name
  const columns = sharedColumns(table)
  await walkTable(repository, steps, table, {
    onChange: ({ kind, before, after, at }) => {
      if (side === 'went' && kind === 'delete') moves.went({ part, columns, line: before!, at })
      if (side === 'came' && kind === 'insert') moves.came({ part, columns, line: after!, at })
    },
  })
}
