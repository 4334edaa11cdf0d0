/**
 * References that nobody declared: a column that has the name and type of another table's key, and whose values are
 * found there. Names alone are not believed where rows can be asked, and contained values alone neither: small numbers
 * are contained in every key.
 */
import type { SourceProfile } from '../contract.ts'
import { bareName, type LogicalTable, normalName, singular, words } from './logical-tables.ts'
import { declaredSingleKey } from './patient.ts'

export interface LinkGuess {
  readonly table: string
  readonly column: string
  readonly referencedTable: string
  readonly referencedColumn: string
  readonly reason: string
}

export interface KnownKey {
  readonly table: LogicalTable
  readonly column: string
}

/** A live database has rows whose parent is gone: one in twenty does not disprove a link of the very same name. */
const SHARE_MIN = 0.95
const GENERIC_KEYS = new Set([
  'id',
  'code',
  'no',
  'key',
  'name',
  'type',
  'seq',
  'seqnum',
  'version',
  '编号',
  '代码',
  '名称',
])
const TYPE_FAMILIES: readonly (readonly [string, RegExp])[] = [
  ['number', /^(tinyint|smallint|int|integer|bigint|numeric.*|decimal.*)$/],
  ['text', /^(n?text|character.*|n?varchar.*|n?char.*|name)$/],
]

/** `undeclaredKeys`: those of tables without any declared one, that are called like one and look unique. */
export async function findLinks(
  tables: readonly LogicalTable[],
  undeclaredKeys: readonly KnownKey[],
  profile: SourceProfile,
  sampleRows: number,
): Promise<LinkGuess[]> {
  // Of two keys with the same values, the one that is called like its table is the parent.
  const keys = [...declaredKeys(tables), ...undeclaredKeys].sort(
    (left, right) => Number(isCalledLike(right)) - Number(isCalledLike(left)),
  )
  const found: LinkGuess[] = []
  for (const table of tables) {
    for (const column of table.columns) {
      if (table.foreignKeys.some((key) => key.columns.includes(column.name))) continue
      const candidates = keys.filter((key) => fits(table, column.name, key))
      const best = await bestOf(table, column.name, candidates, profile, sampleRows)
      if (best !== null) found.push(best)
    }
  }
  return found
}

function declaredKeys(tables: readonly LogicalTable[]): KnownKey[] {
  return tables.flatMap((table) => {
    const column = declaredSingleKey(table)
    return column === null ? [] : [{ table, column }]
  })
}

/** Whether name and type could make `column` a reference to `key`. */
function fits(table: LogicalTable, column: string, key: KnownKey): boolean {
  if (key.table.name === table.name) return false
  if (!sameFamily(typeOf(table, column), typeOf(key.table, key.column))) return false
  const name = normalName(column)
  // A key that refers to another table's key: an extension of its rows. Of two such, the one called like the key is
  // the parent.
  if (declaredSingleKey(table) === column && (!isCalledLike(key) || isCalledLike({ table, column }))) return false
  return keyNames(key).includes(name) || hasRole(column, key)
}

/** `admit_provider_id` for `provider.provider_id`: a role before the whole name of the key. */
function hasRole(column: string, key: KnownKey): boolean {
  const own = words(key.column)
  const name = words(column)
  return own.length > 1 && name.length > own.length && own.every((word, index) => word === name.at(index - own.length))
}

/** What a column that refers to this key may be called: `patient_id` for `patient.id` and for `patient.patient_id`. */
function keyNames(key: KnownKey): string[] {
  const own = normalName(key.column)
  if (!GENERIC_KEYS.has(own)) return [own]
  const stem = words(bareName(key.table.name)).map(singular).join('')
  return [`${stem}${own}`, `${normalName(bareName(key.table.name))}${own}`]
}

/** `patient.patient_id`, `icu_stay.stay_id`, `patient.id`: the name of the table is in the name of its key. */
function isCalledLike(key: KnownKey): boolean {
  const own = normalName(key.column)
  if (GENERIC_KEYS.has(own)) return true
  const stem = singular(words(bareName(key.table.name)).at(-1) ?? '')
  return own.startsWith(stem) || own.startsWith(words(bareName(key.table.name)).map(singular).join(''))
}

async function bestOf(
  table: LogicalTable,
  column: string,
  candidates: readonly KnownKey[],
  profile: SourceProfile,
  sampleRows: number,
): Promise<LinkGuess | null> {
  let best: { key: KnownKey; share: number | null } | null = null
  for (const key of candidates) {
    const share = await profile.containedShare(
      { sqlName: table.sqlName, column },
      { sqlName: key.table.sqlName, column: key.column },
      sampleRows,
    )
    if (share !== null && share < SHARE_MIN) continue
    // Two keys of one name may have nothing to do with each other, nor a name that only ends like a key: then only
    // rows can tell.
    const onlyRowsTell = declaredSingleKey(table) === column || !keyNames(key).includes(normalName(column))
    if (onlyRowsTell && share !== 1) continue
    if (best === null || (share ?? 0) > (best.share ?? 0)) best = { key, share }
  }
  if (best === null) return null
  const { key, share } = best
  const kind = normalName(column) === normalName(key.column) ? 'same name and type' : 'named after it, same type'
  const seen =
    share === null
      ? 'values could not be compared'
      : `${percent(share)} of up to ${sampleRows} sampled values found there`
  return {
    table: table.name,
    column,
    referencedTable: key.table.name,
    referencedColumn: key.column,
    reason: `no foreign key; ${kind}; ${seen}`,
  }
}

function typeOf(table: LogicalTable, column: string): string {
  return table.columns.find(({ name }) => name === column)!.type
}

function sameFamily(left: string, right: string): boolean {
  if (left === right) return true
  return TYPE_FAMILIES.some(([, pattern]) => pattern.test(left) && pattern.test(right))
}

/** Rounded down: 99.96 % is not 100 %. */
function percent(share: number): string {
  return `${Math.floor(share * 1000) / 10} %`
}
