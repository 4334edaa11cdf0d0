/** The configuration beside the database: what it names and is not there, and what is there and it does not name. */
import type { Configuration, SourceConfiguration } from '../../config.ts'
import { CATEGORY_OTHER, includedTables, planTables } from '../../intake/table-plan.ts'
import type { SchemaInfo, TableInfo } from '../../source/contract.ts'
import type { ConfigurationTopic, Seen } from './check.ts'

type Found = Seen<ConfigurationTopic>[]

export function lookAtChoices(configuration: Configuration, source: SourceConfiguration): Found {
  const { patient, writer, capture } = source
  const found: Found = []
  if (configuration.approval === 'one-person') {
    found.push({ topic: 'one-person-approval', objects: [], found: 'approval: one-person' })
  }
  if (patient === null) found.push({ topic: 'patient-unset', objects: [source.name], found: 'patient: –' })
  else if (writer === null) found.push({ topic: 'writer-unset', objects: [source.name], found: 'writer: –' })
  if (writer !== null && roleOf(writer.url) === roleOf(source.url)) {
    found.push({ topic: 'writer-shared', objects: [roleOf(source.url)], found: 'writer.url = url' })
  }
  if (capture.allowUnlimitedSlot) {
    const bound = capture.slotBytesMax === null ? 'slotBytesMax: –' : `slotBytesMax: ${capture.slotBytesMax}`
    found.push({
      topic: 'slot-unlimited-by-choice',
      objects: [source.name],
      found: `allowUnlimitedSlot: true, ${bound}`,
    })
  }
  return found
}

function roleOf(url: string): string {
  return decodeURIComponent(URL.parse(url)?.username ?? '')
}

export function lookAtLayout(source: SourceConfiguration, schema: SchemaInfo): Found {
  const found = [...unknownTables(source, schema), ...unknownColumns(source, schema), ...excluded(source, schema)]
  // A plan cannot be made of names that are not there, and to say so once is enough.
  const isWhole = !found.some(({ topic }) => topic === 'layout-tables' || topic === 'layout-columns')
  return isWhole ? [...found, ...withoutMeaning(source, schema)] : found
}

interface Named {
  readonly where: string
  readonly table: string
  readonly columns: readonly string[]
}

function namedIn({ patient, anchors, categories, links }: SourceConfiguration): Named[] {
  return [
    ...(patient ? [{ where: 'patient', table: patient.table, columns: [patient.key, ...patient.label] }] : []),
    ...[...anchors].map(([table, column]) => ({ where: 'anchors', table, columns: [column] })),
    ...[...categories.keys()].map((table) => ({ where: 'categories', table, columns: [] })),
    ...links.flatMap(({ table, column, referencedTable, referencedColumn }) => [
      { where: 'links', table, columns: [column] },
      { where: 'links', table: referencedTable, columns: [referencedColumn] },
    ]),
  ]
}

function unknownTables(source: SourceConfiguration, schema: SchemaInfo): Found {
  const missing = namedIn(source).filter(({ table }) => tablesNamed(schema, table).length === 0)
  return missing.map(({ where, table }) => ({ topic: 'layout-tables', objects: [table], found: where }))
}

function unknownColumns(source: SourceConfiguration, schema: SchemaInfo): Found {
  const found: Found = []
  const look = (topic: ConfigurationTopic, { where, table, columns }: Named) => {
    const [first] = tablesNamed(schema, table)
    if (first === undefined) return
    const missing = columns.filter((column) => !first.columns.some(({ name }) => name === column))
    for (const column of missing) found.push({ topic, objects: [`${table}.${column}`], found: where })
  }
  for (const named of namedIn(source)) look('layout-columns', named)
  for (const name of source.writer?.triggerColumns ?? []) {
    const table = name.slice(0, name.lastIndexOf('.'))
    const named = { where: 'writer.triggerColumns', table, columns: [name.slice(name.lastIndexOf('.') + 1)] }
    if (tablesNamed(schema, table).length > 0) look('trigger-columns', named)
    else found.push({ topic: 'trigger-columns', objects: [name], found: named.where })
  }
  return found
}

function excluded({ exclude }: SourceConfiguration, schema: SchemaInfo): Found {
  return [...exclude].map((table) => {
    const isThere = tablesNamed(schema, table).length > 0
    return { topic: isThere ? 'tables-excluded' : 'exclude-unknown', objects: [table], found: 'exclude' }
  })
}

/** Tables of patients that lead to none, and tables that nobody has looked at. */
function withoutMeaning(source: SourceConfiguration, schema: SchemaInfo): Found {
  const { patient, links } = source
  const plans = planTables(schema, source)
  const anchored = new Set(plans.flatMap(({ table, anchor }) => (anchor === null ? [] : [nameOf(table), table.name])))
  const goal = patient === null ? null : `${patient.table}.${patient.key}`
  const found: Found = []
  for (const { table, anchor, anchorPath, category } of plans) {
    const references = [
      ...table.foreignKeys.map((key) => key.references),
      ...links.filter((link) => link.table === nameOf(table)).map((link) => link.referencedTable),
    ]
    const towards = references.find((name) => anchored.has(name))
    if (goal !== null && anchor === null && towards !== undefined) {
      found.push({ topic: 'tables-without-anchor', objects: [table.name], found: `→ ${towards}` })
    }
    if (goal !== null && anchor !== null && anchorPath.at(-1) !== goal) {
      found.push({ topic: 'anchor-leads-nowhere', objects: [table.name], found: anchorPath.join(' → ') })
    }
    if (goal !== null && anchor === null && category === CATEGORY_OTHER) {
      found.push({ topic: 'tables-without-category', objects: [table.name], found: category })
    }
  }
  return found
}

/** The tables that a name of the configuration means: a table, or the leaves of a partitioned one. */
function tablesNamed(schema: SchemaInfo, name: string): TableInfo[] {
  return schema.tables.filter((table) => table.name === name || nameOf(table) === name)
}

function nameOf(table: TableInfo): string {
  return table.partitionOf ?? table.name
}

/** For the questions to the database: what is backed up. */
export function tablesAskedAbout(source: SourceConfiguration, schema: SchemaInfo): string[] {
  return includedTables(schema, source).map(({ name }) => name)
}
