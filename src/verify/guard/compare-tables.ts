/**
 * What became of each table between two snapshots, row by row. Subtrees that both have are passed over by their digests:
 * the cost follows what changed. Columns that only one side has are left out of the comparison, and named.
 */

import { diffTables } from '../../repository/history/table-diff.ts'
import type { RowDifference } from '../../repository/history/tree-diff.ts'
import type { Manifest, TableManifest } from '../../repository/manifest.ts'
import type { Repository } from '../../repository/repository.ts'
import { PartMoves, partitionColumns } from '../certificate/part-moves.ts'
import type { ExplainRules } from '../certificate/rules.ts'
import { ClosedKeys } from './closed-keys.ts'
import type { GuardTable, RowCounts } from './guard-report.ts'
import { GUARD_SENTENCES } from './sentences.ts'

export interface GuardComparison {
  readonly repository: Repository
  readonly before: Manifest
  readonly after: Manifest
  readonly rules: ExplainRules
  readonly signal: AbortSignal
  readonly onTable: (table: string) => void
}

type Pair = { readonly before: TableManifest | null; readonly after: TableManifest | null }
type Writable<T> = { -readonly [Name in keyof T]: T[Name] }

/** In the order of their names. @throws repository-damaged, object-missing, store-… */
export async function compareTables(request: GuardComparison): Promise<GuardTable[]> {
  const closed = await ClosedKeys.read(request.repository, request.before, request.rules)
  const pairs = pairsOf(request)
  const moves = await partMoves(request, pairs)
  const tables: GuardTable[] = []
  for (const pair of pairs) {
    request.signal.throwIfAborted()
    request.onTable(nameOf(pair))
    tables.push(await compareTable(request, pair, { closed, moves: moves.get(wholeOf(pair) ?? '') ?? null }))
  }
  return tables
}

/** By partitioned table: rows that are in another part now. */
async function partMoves(request: GuardComparison, pairs: readonly Pair[]): Promise<Map<string, PartMoves>> {
  const found = new Map<string, PartMoves>()
  for (const [whole, parts] of Map.groupBy(pairs.filter(isToCompare), wholeOf)) {
    if (whole === null || parts.length < 2) continue
    const moves = new PartMoves(partitionColumns(request.after, whole))
    for (const side of ['went', 'came'] as const) {
      if (side === 'came' && moves.isEmpty) break
      for (const pair of parts) await noteSide(request, pair, side, moves)
    }
    if (!moves.isEmpty) found.set(whole, moves)
  }
  return found
}

async function noteSide(request: GuardComparison, pair: Pair, side: 'went' | 'came', moves: PartMoves): Promise<void> {
  for await (const { before, after } of differences(request, pair)) {
    if (side === 'went' && before !== null && after === null) moves.went(partRow(pair, 'before', before))
    if (side === 'came' && before === null && after !== null) moves.came(partRow(pair, 'after', after))
  }
}

/** Of the columns that both sides have. */
function partRow(pair: Pair, side: 'before' | 'after', line: Buffer) {
  const [fieldsBefore, fieldsAfter] = sharedFields(pair)
  const fields = side === 'before' ? fieldsBefore : fieldsAfter
  const all = (pair[side] ?? pair.before ?? pair.after)!.columns.map(({ name }) => name)
  const columns = fields === null ? all : fields.map((field) => all[field]!)
  return { part: nameOf(pair), columns, line: Buffer.from(shown(line, fields), 'latin1'), at: null }
}

function nameOf({ before, after }: Pair): string {
  return (before ?? after)!.name
}

function wholeOf({ before, after }: Pair): string | null {
  return (after ?? before)!.partitionOf
}

function isToCompare(pair: Pair): boolean {
  return reasonNotComparable(pair) === null && pair.before?.rows.digest !== pair.after?.rows.digest
}

function pairsOf({ before, after }: GuardComparison): Pair[] {
  const find = ({ tables }: Manifest, name: string) => tables.find((table) => table.name === name) ?? null
  const names = new Set([...before.tables, ...after.tables].map(({ name }) => name))
  return [...names].sort().map((name) => ({ before: find(before, name), after: find(after, name) }))
}

async function compareTable(request: GuardComparison, pair: Pair, known: Known): Promise<GuardTable> {
  const { before, after } = pair
  const like = (before ?? after)!
  const counts = {
    inserted: 0,
    updated: { allowed: 0, open: 0, closed: 0, unknown: 0 },
    deleted: { allowed: 0, open: 0, closed: 0, unknown: 0 },
    movedIn: 0,
    movedOut: 0,
  }
  if (isToCompare(pair)) await countRows(request, pair, known, counts)
  return {
    table: like.name,
    category: like.category,
    rowsBefore: before?.rows.rows ?? 0,
    rowsAfter: after?.rows.rows ?? 0,
    ...counts,
    rootBefore: before?.rows.digest ?? null,
    rootAfter: after?.rows.digest ?? null,
    notComparable: reasonNotComparable(pair),
    ...columnChanges(pair),
  }
}

interface Known {
  readonly closed: ClosedKeys
  readonly moves: PartMoves | null
}

interface Counts {
  inserted: number
  readonly updated: Writable<RowCounts>
  readonly deleted: Writable<RowCounts>
  movedIn: number
  movedOut: number
}

async function countRows(request: GuardComparison, pair: Pair, known: Known, counts: Counts): Promise<void> {
  const { closed, moves } = known
  const columns = pair.before?.columns.map(({ name }) => name) ?? []
  const isAllowed = mayChange(request.rules, (pair.before ?? pair.after)!)
  const stateOf = (line: Buffer) => (isAllowed ? 'allowed' : closed.stateOf(columns, line))
  for await (const { before, after } of differences(request, pair)) {
    if (before === null) {
      const move = moves?.of('came', partRow(pair, 'after', after!)) ?? null
      counts[move === null ? 'inserted' : 'movedIn'] += 1
    } else if (after === null) {
      const move = moves?.of('went', partRow(pair, 'before', before)) ?? null
      if (move === null) counts.deleted[stateOf(before)] += 1
      else counts.movedOut += 1
      if (move === 'changed') counts.updated[stateOf(before)] += 1
    } else counts.updated[stateOf(before)] += 1
  }
}

async function* differences({ repository, signal }: GuardComparison, pair: Pair): AsyncGenerator<RowDifference> {
  const [fieldsBefore, fieldsAfter] = sharedFields(pair)
  const isSame = (a: Buffer, b: Buffer) => shown(a, fieldsBefore) === shown(b, fieldsAfter)
  const isSameLayout = fieldsBefore === null && fieldsAfter === null
  const reader = { chunks: repository.chunkReader(), keys: repository.keyring.secrets }
  for await (const difference of diffTables(pair.before, pair.after, reader, { isSameLayout, isSame })) {
    signal.throwIfAborted()
    yield difference
  }
}

/** Rows are told apart by key and anchor: where these are others now, every row would count as deleted and inserted. */
function reasonNotComparable({ before, after }: Pair): string | null {
  if (before === null || after === null) return null
  if (before.primaryKey.join() !== after.primaryKey.join()) return GUARD_SENTENCES.otherKey.en
  return before.anchor === after.anchor ? null : GUARD_SENTENCES.otherAnchor.en
}

/** Positions of the columns that both have, on each side; null for both when they are all, in the same order. */
function sharedFields({ before, after }: Pair): readonly [readonly number[] | null, readonly number[] | null] {
  const [names, others] = [before, after].map((table) => table?.columns.map(({ name }) => name) ?? [])
  if (before === null || after === null || names!.join('\t') === others!.join('\t')) return [null, null]
  const shared = names!.filter((name) => others!.includes(name))
  return [shared.map((name) => names!.indexOf(name)), shared.map((name) => others!.indexOf(name))]
}

function shown(line: Buffer, fields: readonly number[] | null): string {
  const text = line.toString('latin1')
  if (fields === null) return text
  const all = text.split('\t')
  return fields.map((field) => all[field]).join('\t')
}

function columnChanges({ before, after }: Pair): Pick<GuardTable, 'columnsGone' | 'columnsNew' | 'columnsChanged'> {
  if (before === null || after === null) return { columnsGone: [], columnsNew: [], columnsChanged: [] }
  const now = new Map(after.columns.map(({ name, type }) => [name, type]))
  const then = new Map(before.columns.map(({ name, type }) => [name, type]))
  return {
    columnsGone: [...then.keys()].filter((name) => !now.has(name)),
    columnsNew: [...now.keys()].filter((name) => !then.has(name)),
    columnsChanged: [...then].flatMap(([name, type]) => {
      const found = now.get(name)
      return found === undefined || found === type ? [] : [`${name}: ${type} → ${found}`]
    }),
  }
}

function mayChange({ mayChange: allowed }: ExplainRules, { name, partitionOf, category }: TableManifest): boolean {
  return allowed.has(name) || allowed.has(category) || (partitionOf !== null && allowed.has(partitionOf))
}
