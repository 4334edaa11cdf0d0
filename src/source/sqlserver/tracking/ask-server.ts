/** Asks a SQL Server what `questions.ts` has: catalogs on a session of their own, everything else in the read's transaction. */
import type { NetRow } from '../../net-contract.ts'
import type { Field, Session } from '../connect.ts'
import { LINE_CHARACTERS_MAX, lineOf } from '../copy-line.ts'
import { toSqlServerFailure } from '../failures.ts'
import { type CatalogTable, groupBy } from '../introspect.ts'
import { quoteText } from '../quote.ts'
import { BENT, tooLarge, untranslatable } from '../read-table.ts'
import { hasCatalogView } from '../readable.ts'
import { SEEN_TABLE, type Tracked, type TrackingQuestions } from './questions.ts'
import { changesStatement, countStatement, leaveStatement, minValidStatement, reachedStatement } from './statements.ts'

const ROWS_AT_ONCE = 1_000
const GONE = '1'

/** @param keeper holds the read's transaction; `catalogs` is beside it, and commits what it writes */
export function askTracking(catalogs: Session, keeper: Session): TrackingQuestions {
  return {
    tracked: () => failing('looking at Change Tracking', () => readTracked(catalogs)),
    leave: (token) => failing('marking the read', async () => void (await catalogs.query(leaveStatement(token)))),
    reached: (token) =>
      failing('looking for the mark of a read', async () => {
        const [row] = await keeper.query(reachedStatement(token))
        return { isThere: row !== undefined, version: row?.version == null ? null : BigInt(row.version) }
      }),
    minValid: (table) =>
      failing(`looking at changes of ${table.info.name}`, async () => {
        const [row] = await keeper.query(minValidStatement(table))
        return row?.version == null ? null : BigInt(row.version)
      }),
    changes: (table, since) => readChanges(keeper, table, changesStatement(table, since)),
    count: (table) =>
      failing(`counting rows of ${table.info.name}`, async () => {
        const [row] = await keeper.query(countStatement(table))
        return Number(row?.count)
      }),
  }
}

/** Also for `doctor`. */
export async function readTracked(session: Session): Promise<ReadonlyMap<string, Tracked> | null> {
  if (!(await hasCatalogView(session, 'sys.change_tracking_tables'))) return null
  const rows = await session.query(TRACKED)
  const isOurs = rows.some(({ may_leave: mayLeave }) => mayLeave === '1')
  if (!isOurs) return null
  return new Map([...groupBy(rows, 'object_id')].map(([oid, parts]) => [oid, trackedOf(parts)]))
}

function trackedOf(parts: readonly Readonly<Record<string, string | null>>[]): Tracked {
  const [first] = parts
  return {
    begin: BigInt(first?.begin_version ?? 0),
    created: first?.created ?? '',
    modified: first?.modified ?? '',
    storage: parts.map(({ hobt }) => hobt).join(','),
  }
}

/** Exported for tests: the statement's `FROM` may be a table made by hand. */
export async function* readChanges(
  keeper: Session,
  table: CatalogTable,
  statement: string,
): AsyncGenerator<readonly NetRow[]> {
  const { info } = table
  let batch: NetRow[] = []
  try {
    for await (const fields of keeper.rows(statement)) {
      batch.push(netRow(table, fields))
      if (batch.length < ROWS_AT_ONCE) continue
      yield batch
      batch = []
    }
    if (batch.length > 0) yield batch
  } catch (error) {
    throw toSqlServerFailure(error, { doing: `reading changes of ${info.name}`, side: 'source' })
  }
}

function netRow({ info }: CatalogTable, [bent, gone, ...fields]: readonly Field[]): NetRow {
  if (bent === BENT) throw untranslatable(info.name, 'bytes that its code page has no character for')
  const keys = info.primaryKey.length
  const key = textOf(info.name, fields.slice(0, keys))
    .split('\t')
    .map((field) => Buffer.from(field))
  return { key, line: gone === GONE ? null : Buffer.from(textOf(info.name, fields.slice(keys))) }
}

function textOf(name: string, fields: readonly Field[]): string {
  const line = lineOf(fields)
  if (typeof line !== 'string') throw untranslatable(name, 'half of a surrogate pair')
  if (line.length > LINE_CHARACTERS_MAX) throw tooLarge(name)
  return line.slice(0, -1)
}

async function failing<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toSqlServerFailure(error, { doing, side: 'source' })
  }
}

/** Partitions of a table in their order. Whether this is our table, and may be written here. */
const TRACKED = `
  SELECT CONVERT(nvarchar(20), t.object_id) AS object_id, CONVERT(nvarchar(20), c.begin_version) AS begin_version,
    CONVERT(nvarchar(27), t.create_date, 121) AS created, CONVERT(nvarchar(27), t.modify_date, 121) AS modified,
    CONVERT(nvarchar(20), p.hobt_id) AS hobt,
    CASE WHEN t.object_id = OBJECT_ID(${quoteText(SEEN_TABLE)})
      AND HAS_PERMS_BY_NAME(${quoteText(SEEN_TABLE)}, 'OBJECT', 'INSERT') = 1
      AND HAS_PERMS_BY_NAME(${quoteText(SEEN_TABLE)}, 'OBJECT', 'DELETE') = 1
      AND HAS_PERMS_BY_NAME(${quoteText(SEEN_TABLE)}, 'OBJECT', 'VIEW CHANGE TRACKING') = 1
      AND CONVERT(nvarchar(20), DATABASEPROPERTYEX(DB_NAME(), 'Updateability')) <> 'READ_ONLY' THEN 1 ELSE 0 END AS may_leave
  FROM sys.change_tracking_tables c JOIN sys.tables t ON t.object_id = c.object_id
    JOIN sys.partitions p ON p.object_id = t.object_id AND p.index_id IN (0, 1)
  ORDER BY t.object_id, p.partition_number`
