/** Rules that name what is not there would explain nothing, silently: they are refused before anything is read. */
import { Failure } from '../../errors.ts'
import type { Manifest } from '../../repository/manifest.ts'
import type { ExplainRules } from './rules.ts'

/** @throws bad-configuration naming tables, columns and categories that the end snapshot does not have */
export function refuseUnknownNames(rules: ExplainRules, manifests: readonly Manifest[]): void {
  const tables = manifests.flatMap((manifest) => manifest.tables)
  const nameOf = (table: Manifest['tables'][number]) => table.partitionOf ?? table.name
  const known = new Set(tables.map(nameOf))
  const categories = new Set(tables.map(({ category }) => category))
  const unknown: string[] = []
  const want = (name: string, columns: readonly (string | null)[]) => {
    const own = tables
      .filter((table) => nameOf(table) === name)
      .flatMap((table) => table.columns.map((column) => column.name))
    if (!known.has(name)) unknown.push(name)
    else unknown.push(...columns.filter((one) => one !== null && !own.includes(one)).map((one) => `${name}.${one}`))
  }
  const { audit, closed, series, times } = rules
  for (const [table, column] of times) want(table, [column])
  if (audit) want(audit.table, [audit.object, audit.action, audit.time, audit.key, audit.scope])
  for (const name of [...(audit?.covers ?? [])].flatMap(([table, covered]) => [table, ...covered])) want(name, [])
  for (const { table, key, column } of closed) want(table, [key, column])
  for (const { table, time, stays } of series) {
    want(table, [time, stays.key])
    want(stays.table, [stays.key, stays.start, stays.end])
  }
  const either = [...rules.mayChange, ...rules.untilClosed]
  unknown.push(...either.filter((name) => !known.has(name) && !categories.has(name)))
  if (unknown.length === 0) return
  throw new Failure(
    'bad-configuration',
    `explain names what the source does not have: ${[...new Set(unknown)].join(', ')}`,
    {
      hints: ['Tables are named schema.table, a partitioned one by its parent; `chartkeep show SNAPSHOT` lists them.'],
    },
  )
}
