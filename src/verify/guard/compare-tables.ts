/**
 * What became of each table between two snapshots, row by row. Subtrees that both have are passed over by their digests:
 * the cost follows what changed. Columns that only one side has are left out of the comparison, and named.
 */

import { diffTrees, type TreeSide } from '../../repository/history/tree-diff.ts'
import type { Manifest, TableManifest } from '../../repository/manifest.ts'
import type { Repository } from '../../repository/repository.ts'
import { tableSpec } from '../../repository/table-spec.ts'
import { TreeReader } from '../../repository/tree/tree-reader.ts'
import type { ExplainRules } from '../certificate/rules.ts'
import { ClosedKeys } from './closed-keys.ts'
import type { GuardTable, RowCounts } from './guard-report.ts'

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
  const tables: GuardTable[] = []
  for (const pair of pairsOf(request)) {
    request.signal.throwIfAborted()
    request.onTable((pair.before ?? pair.after)!.name)
    tables.push(await compareTable(request, pair, closed))
  }
  return tables
}

function pairsOf({ before, after }: GuardComparison): Pair[] {
  const find = ({ tables }: Manifest, name: string) => tables.find((table) => table.name === name) ?? null
  const names = new Set([...before.tables, ...after.tables].map(({ name }) => name))
  return [...names].sort().map((name) => ({ before: find(before, name), after: find(after, name) }))
}

async function compareTable(request: GuardComparison, pair: Pair, closed: ClosedKeys): Promise<GuardTable> {
  const { before, after } = pair
  const like = (before ?? after)!
  const counts = {
    inserted: 0,
    updated: { allowed: 0, open: 0, closed: 0, unknown: 0 },
    deleted: { allowed: 0, open: 0, closed: 0, unknown: 0 },
  }
  const notComparable = reasonNotComparable(pair)
  if (notComparable === null && before?.rows.digest !== after?.rows.digest) {
    await countRows(request, pair, closed, counts)
  }
  return {
    table: like.name,
    category: like.category,
    rowsBefore: before?.rows.rows ?? 0,
    rowsAfter: after?.rows.rows ?? 0,
    ...counts,
    rootBefore: before?.rows.digest ?? null,
    rootAfter: after?.rows.digest ?? null,
    notComparable,
    ...columnChanges(pair),
  }
}

interface Counts {
  inserted: number
  readonly updated: Writable<RowCounts>
  readonly deleted: Writable<RowCounts>
}

async function countRows(request: GuardComparison, pair: Pair, closed: ClosedKeys, counts: Counts): Promise<void> {
  const { repository, rules, signal } = request
  const [fieldsBefore, fieldsAfter] = sharedFields(pair)
  const isSame = (a: Buffer, b: Buffer) => shown(a, fieldsBefore) === shown(b, fieldsAfter)
  const isSameLayout = fieldsBefore === null && fieldsAfter === null
  const columns = pair.before?.columns.map(({ name }) => name) ?? []
  const isAllowed = mayChange(rules, (pair.before ?? pair.after)!)
  const sides = [sideOf(repository, pair.before), sideOf(repository, pair.after)] as const
  for await (const { before, after } of diffTrees(...sides, { isSameLayout, isSame })) {
    signal.throwIfAborted()
    if (before === null) counts.inserted += 1
    else
      (after === null ? counts.deleted : counts.updated)[isAllowed ? 'allowed' : closed.stateOf(columns, before)] += 1
  }
}

function sideOf(repository: Repository, table: TableManifest | null): TreeSide | null {
  if (table === null) return null
  const reader = new TreeReader(tableSpec(table), repository.chunkReader(), repository.keyring.secrets)
  return { reader, root: table.rows }
}

/** Rows are told apart by key and anchor: where these are others now, every row would count as deleted and inserted. */
function reasonNotComparable({ before, after }: Pair): string | null {
  if (before === null || after === null) return null
  if (before.primaryKey.join() !== after.primaryKey.join()) return 'its primary key is another'
  return before.anchor === after.anchor ? null : 'the column that leads to the patient is another'
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
