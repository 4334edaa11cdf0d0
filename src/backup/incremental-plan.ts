/**
 * Which tables an incremental snapshot can fold, and which it must read. A table is folded when the stream told
 * everything of it since the snapshot before, and it is the same table still; the reason of every other is kept.
 */
import type { TablePlan } from '../intake/table-plan.ts'
import type { Manifest, TableManifest } from '../repository/manifest.ts'
import type { TableResolution } from './log-link.ts'

export interface FoldQuestion {
  readonly previous: Manifest
  readonly plans: readonly TablePlan[]
  /** Of the tables as they are now. */
  readonly resolutions: ReadonlyMap<string, TableResolution>
  /** Since the snapshot before. */
  readonly closed: ReadonlySet<string>
  /** Of which something is lost: reading them anew heals it. */
  readonly damaged: ReadonlySet<string>
}

export interface FoldDecision {
  readonly fold: readonly { readonly plan: TablePlan; readonly previous: TableManifest }[]
  readonly read: readonly { readonly plan: TablePlan; readonly reason: string }[]
}

export function decideFold({ previous, plans, ...facts }: FoldQuestion): FoldDecision {
  const before = new Map(previous.tables.map((table) => [table.name, table]))
  const fold: { plan: TablePlan; previous: TableManifest }[] = []
  const read: { plan: TablePlan; reason: string }[] = []
  for (const plan of plans) {
    const table = before.get(plan.table.name)
    const reason = reasonToRead(plan, table, facts)
    if (reason === null && table) fold.push({ plan, previous: table })
    else read.push({ plan, reason: reason ?? 'new' })
  }
  return { fold, read }
}

function reasonToRead(
  plan: TablePlan,
  before: TableManifest | undefined,
  { resolutions, closed, damaged }: Pick<FoldQuestion, 'resolutions' | 'closed' | 'damaged'>,
): string | null {
  const { name } = plan.table
  if (!before) return 'new'
  const now = resolutions.get(name)
  if (now?.resolution !== 'transaction') return now?.resolutionReason ?? 'not captured'
  if (before.resolution !== 'transaction') return 'not captured when the last snapshot was taken'
  if (closed.has(name)) return 'its definition changed since the last snapshot'
  if (damaged.has(name)) return 'the last snapshot lost something of it'
  return isSameShape(plan, before) ? null : 'it is kept in another way than in the last snapshot'
}

/** What its tree hangs on beside its rows. */
export function isSameShape({ table, spec, anchor }: TablePlan, before: TableManifest): boolean {
  const columns = table.columns.map(({ name, type }) => `${name} ${type}`)
  const key = spec.key.map((position) => table.columns[position]?.name)
  return (
    key.length > 0 &&
    table.oid === before.oid &&
    anchor === before.anchor &&
    isSame(
      columns,
      before.columns.map(({ name, type }) => `${name} ${type}`),
    ) &&
    isSame(key, before.primaryKey)
  )
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((each, index) => each === b[index])
}
