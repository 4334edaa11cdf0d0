/**
 * Two patients who were merged wrongly, taken apart: what was one's then and hangs on the other now goes back, and nothing
 * of its content is touched. Both are looked at as one patient, so that what went from one to the other is a row that was
 * changed, and no conflict; what went to a third is.
 *
 *     of then, hangs on the other now     moved: the columns that say so are set back; under `changed` all of it
 *     of then, gone; of then, changed     as in a restore of either under the same policy
 *     written since, under a row of then  goes with it; a column that names the patient as well is set with it
 *     written since, on a patient's key   stays, unless the wish names it: rows do not say for whom they were meant
 *
 * All rows that were moved go back, or none: a record in two halves is worse than one that is merged.
 */
import { Failure } from '../../errors.ts'
import type { TableManifest } from '../../repository/manifest.ts'
import type { Closure, LeftOut } from './closure.ts'
import { type Owner, Owners } from './owners.ts'
import { type PatientPlan, planTables, type UNMERGE_POLICIES } from './plan.ts'
import { anchorReferencesOf, type Reference, referencesOf } from './references.ts'
import { type PatientFacts, type RowFact, type TableFacts, WITHOUT_PARENT } from './row-status.ts'
import { type SelectedRow, selector } from './selection.ts'
import { fieldOf, fieldsText, type StoredRow, storedRow } from './stored-row.ts'

export interface UnmergeWish {
  readonly policy: (typeof UNMERGE_POLICIES)[number]
  /** Written since, on the key of one of the two itself: each is the other one's. */
  readonly give: readonly SelectedRow[]
  readonly acceptLoss: boolean
}

const GOES_ALONG = 'written since: it goes with the row that it hangs on'
const ON_BOTH = 'written since: it hangs on rows of both patients'

/**
 * @param closure of both
 * @throws plan-refused when nothing was moved between them, or a row that was cannot go back; bad-usage, schema-changed
 */
export function planUnmerge(closure: Closure, facts: PatientFacts, wish: UnmergeWish): PatientPlan {
  const { manifest, patients, leftOut } = closure
  refuseStrangers(closure, facts)
  const given = givenRows(closure, facts.tables, wish.give)
  const now = new Owners(closure, facts.tables, 'now', new Set())
  const after = new Owners(closure, facts.tables, 'after', given)
  const apart = new Apart(closure, facts.tables, { now, after, given, policy: wish.policy })
  refuseHalves(facts.tables, apart)
  const told = facts.tables.map((table) => apart.table(table))
  if (apart.movedRows === 0) throw nothingMoved()
  const tables = planTables(manifest, told, { ...wish, isWanted: () => true })
  const withOwners = tables.map((table, at) => ({
    ...table,
    rows: table.rows.map((row, index) => {
      const owner = apart.goesTo.get(told[at]!.rows[index]!)
      return owner === undefined ? row : { ...row, goesTo: patients[owner]! }
    }),
  }))
  const kind = { kind: 'unmerge', policy: wish.policy } as const
  return {
    manifest,
    kind,
    patients,
    tables: withOwners,
    needed: facts.needed,
    leftOut: [...leftOut, ...apart.leftOut()],
  }
}

interface Sides {
  readonly now: Owners
  readonly after: Owners
  readonly given: ReadonlySet<RowFact>
  readonly policy: UnmergeWish['policy']
}

/** Tells of each row what has to be done so that it is again whose it was. */
class Apart {
  movedRows = 0
  /** Of rows that change hands: whose they will be. */
  readonly goesTo = new Map<RowFact, Owner>()
  readonly #sides: Sides
  readonly #patients: readonly Buffer[]
  readonly #references: ReadonlyMap<string, readonly Reference[]>
  /** To a patient's key itself. */
  readonly #toPatients: ReadonlySet<Reference>
  /** Of these, which said in every row of then whose it is: in what was written since they say it, too. */
  readonly #naming: ReadonlySet<Reference>

  constructor({ manifest, patients }: Closure, tables: readonly TableFacts[], sides: Sides) {
    this.#sides = sides
    this.#patients = patients
    const all = [...referencesOf(manifest), ...anchorReferencesOf(manifest)]
    this.#references = Map.groupBy(all, ({ from }) => from.name)
    const patientColumn = `${manifest.patient!.table}.${manifest.patient!.key}`
    const toPatients = all.filter(({ to, toColumns }) =>
      to.some((table) => `${table.partitionOf ?? table.name}.${toColumns.join()}` === patientColumn),
    )
    this.#toPatients = new Set(toPatients)
    this.#naming = new Set(toPatients.filter((reference) => this.#alwaysNames(reference, tables)))
  }

  table(facts: TableFacts): TableFacts {
    return { ...facts, rows: facts.rows.map((fact) => this.#row(facts.table, fact)) }
  }

  /** References of a row of then that lead to the other one now. */
  moved(table: TableManifest, fact: RowFact): Reference[] {
    const { past, present } = fact
    if (past === null || present === null || fact.status === 'same') return []
    const { after } = this.#sides
    return (this.#references.get(table.name) ?? []).filter((reference) => {
      const [was, is] = [past, present].map((row) => fieldsText(row, reference.fromFields))
      if (was === is) return false
      const ownerNow = after.ofTarget(reference, is!)
      const ownerThen = was === null ? after.of(fact) : after.ofTarget(reference, was!)
      return ownerNow !== null && ownerThen !== null && ownerNow !== ownerThen
    })
  }

  /** Moved, and on one of the two now: what went on to a third is not theirs to be divided. */
  isKept(table: TableManifest, fact: RowFact): boolean {
    return this.#sides.now.of(fact) !== null && this.moved(table, fact).length > 0
  }

  /** Who else names a patient is not found from the two: rows of others may do so by these. */
  leftOut(): LeftOut[] {
    const anchors = new Set([...this.#toPatients].filter(({ name }) => name === 'anchor').map(({ from }) => from.name))
    return [...this.#toPatients]
      .filter((reference) => !this.#naming.has(reference) && !anchors.has(reference.from.name))
      .map(({ name, from }) => ({
        table: from.name,
        reason: `rows of other patients that name one of the two by ${name} are not looked at`,
      }))
  }

  #row(table: TableManifest, fact: RowFact): RowFact {
    const told = fact.past === null ? this.#newerRow(table, fact) : this.#oldRow(table, fact)
    if (told.status === 'moved') this.movedRows += 1
    const { now, after } = this.#sides
    const [before, behind] = [now.of(fact), after.of(fact)]
    const isTheirs = told.status !== 'conflicting' && told.status !== 'same' && fact.present !== null
    if (isTheirs && before !== null && behind !== null && before !== behind) this.goesTo.set(told, behind)
    return told
  }

  #oldRow(table: TableManifest, fact: RowFact): RowFact {
    const references = fact.status === 'changed' ? this.moved(table, fact) : []
    if (references.length === 0) return fact
    if (this.#sides.policy === 'changed') return { ...fact, status: 'moved' }
    const { past, present } = fact
    const fields = new Set(references.flatMap(({ fromFields }) => fromFields))
    const back = withFields(table, present!, (field) => (fields.has(field) ? fieldOf(past!, field) : null))
    return { ...fact, status: 'moved', past: back, columns: columnsOf(table, fields) }
  }

  /** What was written since: a row that changes hands names its patient wherever rows of its table do. */
  #newerRow(table: TableManifest, fact: RowFact): RowFact {
    const { now, after, given } = this.#sides
    const owner = after.of(fact)
    if (fact.status !== 'newer' || owner === null) return fact
    const present = fact.present!
    const wrong = (this.#references.get(table.name) ?? []).filter((reference) => {
      const target = after.ofTarget(reference, fieldsText(present, reference.fromFields))
      return target !== null && target !== owner
    })
    if (wrong.length === 0) return now.of(fact) === owner ? fact : { ...fact, cause: GOES_ALONG }
    const settable = given.has(fact) ? this.#toPatients : this.#naming
    if (!wrong.every((reference) => settable.has(reference))) return { ...fact, status: 'conflicting', cause: ON_BOTH }
    const fields = new Set(wrong.flatMap(({ fromFields }) => fromFields))
    const back = withFields(table, present, (field) => (fields.has(field) ? this.#patients[owner]! : null))
    return { ...fact, status: 'moved', past: back, columns: columnsOf(table, fields) }
  }

  #alwaysNames(reference: Reference, tables: readonly TableFacts[]): boolean {
    const { after } = this.#sides
    const facts = tables.find(({ table }) => table.name === reference.from.name)?.rows ?? []
    const old = facts.filter(({ past }) => past !== null)
    return (
      old.length > 0 &&
      old.every((fact) => {
        const target = after.ofTarget(reference, fieldsText(fact.past!, reference.fromFields))
        return target !== null && target === after.of(fact)
      })
    )
  }
}

function withFields(table: TableManifest, row: StoredRow, other: (field: number) => Buffer | null): StoredRow {
  const fields = table.columns.map((_, field) => (other(field) ?? fieldOf(row, field)).toString('latin1'))
  return storedRow(table, Buffer.from(fields.join('\t'), 'latin1'))
}

function columnsOf(table: TableManifest, fields: ReadonlySet<number>): string[] {
  return table.columns.filter((_, field) => fields.has(field)).map(({ name }) => name)
}

function givenRows({ manifest }: Closure, tables: readonly TableFacts[], give: readonly SelectedRow[]): Set<RowFact> {
  if (give.length === 0) return new Set()
  const isNamed = selector(manifest, tables, { categories: null, tables: null, rows: give })
  const named = tables.flatMap((table) =>
    table.rows.filter((fact) => isNamed(table, fact)).map((fact) => ({ table, fact })),
  )
  const others = named.filter(({ table: { table }, fact }) => fact.status !== 'newer' || table.anchorPath.length !== 2)
  if (others.length === 0) return new Set(named.map(({ fact }) => fact))
  const first = others[0]!.table.table.name
  throw new Failure(
    'bad-usage',
    `${others.length} rows that are to be given, the first of ${first}, say themselves whose they are`,
    {
      context: { table: first },
      hints: ['Only rows can be given that were written since, and hang on the key of the patient itself.'],
    },
  )
}

/** A key that nobody has or had may be a slip of the pen. */
function refuseStrangers({ manifest, patients }: Closure, { tables }: PatientFacts): void {
  if (patients[0]!.equals(patients[1]!)) throw new Failure('bad-usage', 'the two patients of a merge are the same one')
  const { table: name, key } = manifest.patient!
  for (const patient of patients) {
    const isKnown = tables
      .filter(({ table }) => (table.partitionOf ?? table.name) === name)
      .some(({ table, rows }) => {
        const field = table.columns.findIndex((column) => column.name === key)
        return rows.some(({ past, present }) => fieldOf((past ?? present)!, field).equals(patient))
      })
    if (isKnown) continue
    throw new Failure('bad-usage', `nobody has one of the two keys in ${name}, now or at that moment`, {
      hints: ['`chartkeep patient find TEXT --at …` shows keys as the database writes them.'],
    })
  }
}

function refuseHalves(tables: readonly TableFacts[], apart: Apart): void {
  const down = tables.toSorted((a, b) => a.table.anchorPath.length - b.table.anchorPath.length)
  for (const { table, rows } of down) {
    const kept = rows.filter((fact) => fact.status === 'conflicting' && apart.isKept(table, fact))
    if (kept.length === 0) continue
    const causes = new Set(
      down.flatMap((each) => each.rows.filter(isRoot).map(({ cause }) => `${each.table.name}: ${cause}`)),
    )
    throw new Failure(
      'plan-refused',
      `${kept.length} rows of ${table.name} hang on the other patient and cannot go back`,
      {
        context: { table: table.name },
        hints: [
          ...causes,
          'All rows that were moved go back, or none. Remove the cause (`chartkeep restore patient ID --at T --rows` lists the rows), and plan again.',
        ],
      },
    )
  }
}

/** Of a conflict that does not come from another one's. */
function isRoot({ past, cause }: RowFact): boolean {
  return past !== null && cause !== null && cause !== WITHOUT_PARENT
}

function nothingMoved(): Failure {
  return new Failure('plan-refused', 'no row that was one patient’s at that moment hangs on the other one now', {
    hints: [
      'Choose a moment before the merge: `chartkeep patient timeline ID` shows it.',
      'Rows that are gone or changed come back with `chartkeep restore patient ID`, one patient at a time.',
    ],
  })
}
