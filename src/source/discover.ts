/**
 * Drafts the configuration of a database nobody has described yet: which table is the patients', which column of every
 * table leads to the patient, what each table counts as, and which references the database does not declare. Every
 * guess carries its reason, because somebody reviews the draft (`renderDraft`).
 *
 * It reads the schema and asks small questions of rows (`SourceProfile`); no value of a row comes here.
 */
import type { Source } from './contract.ts'
import { type AnchorGuess, findAnchors } from './discovery/anchors.ts'
import { type CategoryGuess, findCategories, findDictionaries } from './discovery/categories.ts'
import { findLinks, type LinkGuess } from './discovery/links.ts'
import { type LogicalTable, toLogicalTables } from './discovery/logical-tables.ts'
import { findPatientTable, findSingleKey, type PatientGuess } from './discovery/patient.ts'

export { renderDraft } from './discovery/render.ts'

export interface DraftConfiguration {
  readonly sourceName: string
  /** Without a password. */
  readonly url: string
  readonly databaseName: string
  readonly serverVersion: string
  readonly patient: PatientGuess | null
  readonly anchors: readonly AnchorGuess[]
  readonly categories: readonly CategoryGuess[]
  readonly links: readonly LinkGuess[]
  /** Neither anchored nor dictionaries: whoever reviews the draft should know why no patient was found. */
  readonly unanchored: readonly string[]
}

export interface DiscoverOptions {
  /** Of the source, as it will stand in the configuration: without a password. */
  readonly url: string
  /** How many values of a column are looked at. */
  readonly sampleRows?: number
}

const SAMPLE_ROWS = 1000

export async function discover(
  source: Pick<Source, 'identify' | 'introspect' | 'profile'>,
  options: DiscoverOptions,
): Promise<DraftConfiguration> {
  const { profile } = source
  const sampleRows = options.sampleRows ?? SAMPLE_ROWS
  const identity = await source.identify()
  const tables = toLogicalTables((await source.introspect()).tables)

  const dictionaries = findDictionaries(tables)
  const patient = await findPatientTable(tables, profile, sampleRows)
  const links = await findLinks(tables, await undeclaredKeys(tables, source, sampleRows), profile, sampleRows)
  const anchors = patient === null ? [] : findAnchors(tables, patient, links, new Set(dictionaries.keys()))
  const categories = findCategories(tables, anchors, dictionaries, referencedTables(tables, links))

  const accounted = new Set([...anchors.map((anchor) => anchor.table), ...dictionaries.keys()])
  const nobodys = new Set(categories.filter(({ category }) => category === '字典').map(({ table }) => table))
  return {
    sourceName: toSourceName(identity.databaseName),
    url: options.url,
    databaseName: identity.databaseName,
    serverVersion: identity.serverVersion,
    patient,
    anchors,
    categories,
    links,
    unanchored: tables.map(({ name }) => name).filter((name) => !accounted.has(name) && !nobodys.has(name)),
  }
}

/** Of tables that declare no key at all, those that are called like one and look unique. */
async function undeclaredKeys(
  tables: readonly LogicalTable[],
  source: Pick<Source, 'profile'>,
  sampleRows: number,
): Promise<{ table: LogicalTable; column: string }[]> {
  const keyless = tables.filter((table) => table.primaryKey.length === 0 && table.uniqueKeys.length === 0)
  const found = []
  for (const table of keyless) {
    const column = await findSingleKey(table, source.profile, sampleRows)
    if (column !== null) found.push({ table, column })
  }
  return found
}

function referencedTables(tables: readonly LogicalTable[], links: readonly LinkGuess[]): Set<string> {
  const declared = tables.flatMap((table) => table.foreignKeys.map((key) => key.references))
  return new Set([...declared, ...links.map((link) => link.referencedTable)])
}

/** A source's name becomes part of object keys. */
function toSourceName(databaseName: string): string {
  const name = databaseName
    .replaceAll(/[^A-Za-z0-9_-]+/g, '-')
    .replaceAll(/^[-_]+|-+$/g, '')
    .slice(0, 40)
  return name === '' ? 'icu' : name
}
