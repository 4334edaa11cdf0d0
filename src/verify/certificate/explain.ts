/**
 * What accounts for a change of a row that the baseline had, or that came since. The firmest reason is given:
 *
 *     changeset    a plan of ours that was approved and carried out
 *     audit        the application's own entry: of the same transaction, or within the tolerance, or (where the change
 *                  log does not tell the moment) in the same period
 *     may-change   the configuration says that such rows change
 *     open-record  the record was not closed yet, and the configuration lets it be updated until then
 *     none         nothing: it is counted, and listed
 */
import { Failure } from '../../errors.ts'
import { isDamage } from '../../repository/damage.ts'
import type { Repository } from '../../repository/repository.ts'
import { type Changeset, readChangeset, readOutcome } from '../../restore/patient/changeset.ts'
import { type ChangesetMark, isTransactionOf, parseMark } from '../../restore/patient/own-transaction.ts'
import { type AuditEntries, textOfColumn } from './audit-entries.ts'
import type { ClosedRecords } from './closed-records.ts'
import { spanOf } from './period-times.ts'
import type { ChangeKind, ExplainRules } from './rules.ts'
import type { Period } from './steps.ts'
import type { ChangeMoment, RowChange } from './table-walk.ts'

export const REASONS = [
  'changeset',
  'audit-transaction',
  'audit-time',
  'audit-period',
  'may-change',
  'open-record',
  'none',
] as const
export type Reason = (typeof REASONS)[number]

export interface ChangedRow {
  readonly table: string
  readonly category: string
  readonly columns: readonly string[]
  readonly primaryKey: readonly string[]
  readonly change: RowChange
}

export interface Explained {
  readonly reason: Reason
  readonly afterClosing: boolean
}

/** A restore of ours within the period. */
export interface KnownChangeset {
  readonly id: string
  readonly kind: Changeset['kind']
  readonly authorisation: string
  readonly at: ChangeMoment
}

export class Explainer {
  readonly changesets: readonly KnownChangeset[]
  readonly #period: Period
  readonly #rules: ExplainRules
  readonly #audit: AuditEntries | null
  readonly #closed: ClosedRecords
  readonly #ours: ReadonlySet<string>

  constructor(
    period: Period,
    rules: ExplainRules,
    known: { audit: AuditEntries | null; closed: ClosedRecords; changesets: readonly KnownChangeset[] },
  ) {
    this.#period = period
    this.#rules = rules
    this.#audit = known.audit
    this.#closed = known.closed
    this.changesets = known.changesets
    this.#ours = new Set(known.changesets.map(({ at }) => momentId(at)))
  }

  explain(row: ChangedRow): Explained {
    const afterClosing = this.#closed.isAfterClosing(row.columns, row.change)
    return { reason: this.#reason(row, afterClosing), afterClosing }
  }

  #reason(row: ChangedRow, afterClosing: boolean): Reason {
    const { change, table, category } = row
    if (change.at && this.#ours.has(momentId(change.at))) return 'changeset'
    const isAudit = table === this.#rules.audit?.table
    const match = isAudit ? null : (this.#audit?.match(this.#sought(row)) ?? null)
    if (match !== null) return `audit-${match}`
    const is = (names: ReadonlySet<string>) => names.has(table) || names.has(category)
    // What accounts for everything else accounts for nothing of itself.
    if (isAudit) return 'none'
    if (is(this.#rules.mayChange)) return 'may-change'
    // A row that went to another part at no known moment may be another one that looks alike.
    const isUpdate = change.kind !== 'delete' && (change.kind !== 'left' || change.at !== null)
    return isUpdate && !afterClosing && is(this.#rules.untilClosed) ? 'open-record' : 'none'
  }

  #sought({ change, table, columns, primaryKey }: ChangedRow) {
    const line = change.before!
    const kind: ChangeKind = change.kind === 'delete' ? 'delete' : 'update'
    const key = primaryKey.map((column) => textOfColumn(columns, line, column) ?? '').join(',')
    const scope = textOfColumn(columns, line, this.#rules.audit?.scope ?? null)
    return { table, kind, at: change.at, ...spanOf(this.#period, change.at), key, scope }
  }
}

/**
 * The restores of the period: a transaction that says it is one, and that the repository knows as committed under the very
 * same id. What only says so is none. @throws store-…
 */
export async function knownChangesets(repository: Repository, { steps }: Period): Promise<KnownChangeset[]> {
  const known: KnownChangeset[] = []
  for (const { index: step, transactions } of steps) {
    for (const [transaction, mark] of transactions?.marks ?? []) {
      const marked = parseMark(mark)
      if (marked === null) continue
      const found = await changesetOf(repository, marked, transactions!.xid[transaction]!)
      if (found) known.push({ id: marked.changesetId, ...found, at: { step, transaction } })
    }
  }
  return known
}

async function changesetOf(repository: Repository, marked: ChangesetMark, xid: number) {
  const { changesetId: id } = marked
  try {
    const changeset = await readChangeset(repository, id)
    const { kind, authorisation } = changeset
    return isTransactionOf(changeset, marked, xid) && (await readOutcome(repository, id))
      ? { kind, authorisation }
      : null
  } catch (error) {
    if (isDamage(error) || (error instanceof Failure && error.code === 'bad-usage')) return null
    throw error
  }
}

function momentId({ step, transaction }: ChangeMoment): string {
  return `${step} ${transaction}`
}
