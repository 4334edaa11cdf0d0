/** A plan as it is shown before anything is written: counts for everybody, rows masked unless values are asked for. */
import type { PlanDocument, PlanRow, ReadPlan } from './plan-document.ts'

export const STATUSES = ['missing', 'changed', 'moved', 'newer', 'conflicting'] as const
export const ACTIONS = ['insert', 'update', 'delete'] as const
/** Of a value: enough to know it by, too little to be read over a shoulder. */
const MASK_KEEPS = 1

type Groups = PlanDocument['tables'][number]['groups']

export interface ShownRow {
  readonly table: string
  readonly status: PlanRow['status']
  readonly action: PlanRow['action']
  readonly cause: string | null
  /** The pseudonym of whose it will be, where that is another than now. */
  readonly goesTo?: string
  /** Those that differ; all of them where there is nothing to compare with. */
  readonly columns: readonly ShownColumn[]
}

/** Null where there is no row; NULL as `NULL`. */
export interface ShownColumn {
  readonly name: string
  readonly past: string | null
  readonly present: string | null
}

/** Without rows and values. */
export function planRecord({ document, sha256 }: ReadPlan) {
  const { sealed: _, tables, ...rest } = document
  return {
    ...rest,
    sha256,
    tables: tables.map(({ groups, ...table }) => ({ ...table, ...countsOf(groups), ...goingOf(groups) })),
  }
}

/** Rows that change hands, by the pseudonym of whose they will be; nothing where none does. */
function goingOf(groups: Groups): { readonly goesTo?: Readonly<Record<string, number>> } {
  const going = Map.groupBy(
    groups.filter(({ goesTo }) => goesTo !== undefined),
    ({ goesTo }) => goesTo!,
  )
  if (going.size === 0) return {}
  const counted = [...going].map(([patient, own]) => [patient, own.reduce((sum, { rows }) => sum + rows, 0)] as const)
  return { goesTo: Object.fromEntries(counted) }
}

/** Row by row, in the plan's order. */
export function* shownRows({ tables }: ReadPlan, showValues: boolean): Generator<ShownRow> {
  for (const { name: table, columns: all, rows } of tables) {
    for (const { status, action, cause, goesTo, columns: differing, past, present } of rows) {
      const names = differing.length > 0 ? differing : all
      const [then, now] = [past, present].map((line) => (line === null ? null : line.toString('latin1').split('\t')))
      const columns = names.map((name) => {
        const field = all.indexOf(name)
        const [before, after] = [now, then].map((fields) => shownField(fields?.[field] ?? null, showValues))
        return { name, past: after!, present: before! }
      })
      yield { table, status, action, cause, ...(goesTo !== undefined && { goesTo }), columns }
    }
  }
}

/** By status and by action. */
export function countsOf(
  groups: Groups,
): Readonly<Record<(typeof STATUSES)[number] | (typeof ACTIONS)[number], number>> {
  const count = (holds: (group: Groups[number]) => boolean) =>
    groups.filter(holds).reduce((sum, { rows }) => sum + rows, 0)
  const statuses = STATUSES.map((status) => [status, count((group) => group.status === status)] as const)
  const actions = ACTIONS.map((kind) => [kind, count((group) => group.action === kind)] as const)
  return Object.fromEntries([...statuses, ...actions]) as ReturnType<typeof countsOf>
}

/** A note may hold what a terminal obeys, or what turns the order of letters round: neither may change what is approved. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '·')
}

/** Masked, unless it is to be read; null where the row is not there. */
export function shownField(field: string | null, showValues: boolean): string | null {
  if (field === null) return null
  const text = Buffer.from(field, 'latin1').toString('utf8')
  if (text === '\\N') return 'NULL'
  const shown = printable(text)
  if (showValues) return shown
  const kept = text.length > MASK_KEEPS ? shown.slice(0, MASK_KEEPS) : ''
  return `${kept}${'*'.repeat(Math.min(8, Math.max(1, text.length - MASK_KEEPS)))}`
}
