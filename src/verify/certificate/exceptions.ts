/** What has to be said of single tables and months: counted in full, and patients by pseudonym only (I9). */
import type { Repository } from '../../repository/repository.ts'
import { PatientFinder } from '../patients.ts'
import type { ComparedPeriod, ComparedTable } from './compare-period.ts'
import type { CertificateException, Demonstration, DrillFacts } from './document.ts'

type Found = Omit<CertificateException, 'id'>

const NOBODY = { patients: [], patientsComplete: true } as const
const NAMED_MAX = 200

/** Numbered in the order in which they are printed. @throws store-… */
export async function exceptionsOf(
  repository: Repository,
  compared: ComparedPeriod,
  known: { readonly demonstrations: readonly Demonstration[]; readonly drills: readonly DrillFacts[] },
): Promise<CertificateException[]> {
  const finder = new PatientFinder(repository, [compared.period.end, compared.period.baseline])
  const found: Found[] = []
  for (const table of compared.tables) found.push(...(await ofTable(finder, compared, table)))
  found.push(...ofPeriod(compared), ...ofSeries(compared))
  for (const { statement, failures, population } of known.demonstrations) {
    if (failures > 0) found.push(bare('demonstration-failed', failures, `${statement} of ${population}`))
  }
  if (!known.drills.some(({ passed }) => passed)) found.push(bare('no-drill', 0, ''))
  return found.map((each, index) => ({ id: `E-${String(index + 1).padStart(3, '0')}`, ...each }))
}

async function ofTable(finder: PatientFinder, { period }: ComparedPeriod, table: ComparedTable): Promise<Found[]> {
  const { name, before, after, balance } = table
  const category = (after ?? before)!.category
  const place = { category, table: name, month: null, ...NOBODY }
  const found: Found[] = []
  if (before && !after) found.push({ class: 'table-gone', ...place, count: before.rows.rows, detail: '' })
  if (!balance) found.push({ class: 'not-comparable', ...place, count: before?.rows.rows ?? 0, detail: '' })
  for (const column of table.columnsGone) {
    found.push({ class: 'column-gone', ...place, count: before?.rows.rows ?? 0, detail: column })
  }
  for (const each of [...(balance?.exceptional.values() ?? [])].sort((a, b) => (a.month < b.month ? -1 : 1))) {
    const patients = await patientsOf(finder, table, period, each.anchors)
    found.push({
      class: each.class,
      category,
      table: name,
      month: each.month,
      count: each.rows,
      patients: patients.names.slice(0, NAMED_MAX),
      patientsComplete: each.anchorsComplete && patients.complete && patients.names.length <= NAMED_MAX,
      detail: '',
    })
  }
  if (table.keyHoles && table.keyHoles.suspect > 0) {
    found.push({ class: 'key-holes', ...place, count: table.keyHoles.suspect, detail: '' })
  }
  return found
}

/** Whoever left since is found by the baseline, whoever came by the end. */
async function patientsOf(
  finder: PatientFinder,
  { before, after }: ComparedTable,
  { baseline, end }: ComparedPeriod['period'],
  anchors: ReadonlySet<string>,
): Promise<{ names: string[]; complete: boolean }> {
  if (anchors.size === 0) return { names: [], complete: true }
  const then = before ? await finder.ofAnchors(baseline.snapshotId, before, anchors) : null
  const now = after ? await finder.ofAnchors(end.snapshotId, after, anchors) : null
  const names = [...new Set([...(then?.pseudonyms ?? []), ...(now?.pseudonyms ?? [])])].sort()
  return { names, complete: (then?.complete ?? false) || (now?.complete ?? false) }
}

function ofPeriod({ period }: ComparedPeriod): Found[] {
  return period.missing.map((id) => bare('snapshot-missing', 1, id))
}

function ofSeries({ series, period }: ComparedPeriod): Found[] {
  const categoryOf = (name: string) =>
    period.end.tables.find((table) => (table.partitionOf ?? table.name) === name)?.category ?? null
  return series.flatMap(({ table, month, lost, suspect }) => {
    const place = { category: categoryOf(table), table, month, ...NOBODY, detail: '' }
    return [
      ...(lost > 0 ? [{ class: 'series-lost', ...place, count: lost } as const] : []),
      ...(suspect > 0 ? [{ class: 'series-suspect', ...place, count: suspect } as const] : []),
    ]
  })
}

function bare(kind: Found['class'], count: number, detail: string): Found {
  return { class: kind, category: null, table: null, month: null, count, ...NOBODY, detail }
}
