/**
 * What can be captured, and what must not be: the verdict on each table from what CDC is set up to.
 *
 * A table whose changes CDC leaves out, or tells in a form in which the row cannot be put together again, is read in full
 * at each snapshot, and the plan says why. Change Tracking is no way round it: it tells net changes at the moments when it
 * is asked, without their transactions and their times, and those are not made up (docs/decisions/0022).
 */
import type { CapturePlan, TableCapture } from '../../change-contract.ts'
import type { CatalogColumn } from '../introspect.ts'
import { quoteName, quoteText } from '../quote.ts'
import { isCodePageText } from '../row-text.ts'
import type { CaptureInstance, CdcFacts, CdcQuestions, CdcTable, Followed } from './questions.ts'

interface Verdict {
  readonly reason: string
  readonly remedySql: string | null
}

/** Everything the verdicts hang on, as of one look. */
export interface CdcSetting {
  readonly facts: CdcFacts
  readonly tables: readonly CdcTable[]
  readonly instances: readonly CaptureInstance[]
}

/** As `TableInfo.name`. */
export const MARK_NAME = 'chartkeep.mark'
const MARK_SQL = '-- the part on change data capture of what `chartkeep setup-sql` prints'
/** What becomes of them in change tables is not written down. */
const CLR = new Set(['geometry', 'geography', 'hierarchyid'])
const LARGE = new Set(['text', 'ntext', 'image', 'xml'])

export async function readSetting(questions: CdcQuestions): Promise<CdcSetting> {
  const facts = await questions.facts()
  const tables = await questions.tables()
  return { facts, tables, instances: facts.isEnabled ? await questions.instances() : [] }
}

export function planCapture(setting: CdcSetting, names: readonly string[]): CapturePlan {
  return {
    obstacle: captureObstacle(setting),
    tables: names.map((name): TableCapture => {
      const verdict = judge(setting, name)
      return 'instance' in verdict
        ? { table: name, resolution: 'transaction', reason: null, remedySql: null }
        : { table: name, resolution: 'snapshot', ...verdict }
    }),
    dangers: findDangers(setting),
  }
}

/** Tables that can be told to the transaction, each with the instance that tells it. */
export function followable(setting: CdcSetting, names: readonly string[]): Followed[] {
  return names.flatMap((name) => {
    const verdict = judge(setting, name)
    return 'instance' in verdict ? [verdict] : []
  })
}

/** Why nothing can be captured at all, or null. */
export function captureObstacle(setting: CdcSetting): CapturePlan['obstacle'] {
  const obstacle = obstacleOf(setting.facts)
  if (obstacle !== null) return obstacle
  const mark = judge(setting, MARK_NAME)
  return 'instance' in mark ? null : { ...mark, reason: `${MARK_NAME}: ${mark.reason}` }
}

function obstacleOf(facts: CdcFacts): Verdict | null {
  if (!facts.hasCdc) return { reason: `${facts.edition} has no change data capture`, remedySql: null }
  if (!facts.isWritable) {
    return { reason: 'the database is read-only here: capture follows the primary', remedySql: null }
  }
  if (!facts.isEnabled) {
    return {
      reason: 'change data capture is off in this database (Change Tracking tells no transactions)',
      remedySql: `EXEC sys.sp_cdc_enable_db; ${MARK_SQL}`,
    }
  }
  if (facts.hasAdr) {
    return {
      reason: 'accelerated database recovery is on, which is not supported beside change data capture',
      remedySql: 'ALTER DATABASE CURRENT SET ACCELERATED_DATABASE_RECOVERY = OFF;',
    }
  }
  return facts.mayMark
    ? null
    : { reason: 'this login may not write chartkeep.mark and chartkeep.slot', remedySql: MARK_SQL }
}

function judge({ facts, tables, instances }: CdcSetting, name: string): Verdict | Followed {
  const found = tables.find(({ table }) => table.info.name === name)
  if (found === undefined) return { reason: 'no such table', remedySql: null }
  const rows = judgeRows(found, facts)
  if (rows !== null) return rows
  const own = instances.filter(({ sourceTable }) => sourceTable === found.table.info.oid).sort(newestFirst)
  const usable = own.find((instance) => judgeInstance(found, instance) === null)
  if (usable) return { instance: usable, table: found.table }
  const [newest] = own
  if (newest) return judgeInstance(found, newest)!
  return { reason: 'change data capture does not follow it', remedySql: enableSql(found) }
}

/** Whether rows could be put together, however CDC is set up. */
function judgeRows({ table }: CdcTable, facts: CdcFacts): Verdict | null {
  if (table.info.primaryKey.length === 0) return { reason: 'no primary key', remedySql: null }
  const clr = table.captured.find(({ type }) => CLR.has(type.base))
  if (clr)
    return { reason: `column ${clr.name}: what changes of ${clr.type.base} become is not known`, remedySql: null }
  const foreign = table.captured.find(({ type }) => isCodePageText(type) && type.collation !== facts.collation)
  if (!foreign) return null
  return {
    reason: `column ${foreign.name}: its collation is not the database's, and change data capture bends such text`,
    remedySql: null,
  }
}

function judgeInstance(found: CdcTable, instance: CaptureInstance): Verdict | null {
  const again = `${disableSql(found, instance)} ${enableSql(found)}`
  if (!instance.hasCommandId) {
    return { reason: 'its change table has no __$command_id, so that changes have no order', remedySql: again }
  }
  const captured = new Map(instance.columns.map(({ name, type }) => [name, capturedType(type)]))
  const lacking = found.table.captured.filter(({ name, type }) => captured.get(name) !== capturedType(type.base))
  if (lacking.length > 0) {
    const names = lacking.map(({ name }) => name).join(', ')
    return { reason: `change data capture does not tell its columns as they are now: ${names}`, remedySql: again }
  }
  if (found.isPartitioned && instance.allowsSwitch) {
    return { reason: 'rows may be switched in and out of its partitions, which no change tells', remedySql: again }
  }
  if (instance.low === null) return { reason: 'the capture job has not begun with it', remedySql: null }
  return null
}

/** "Identity columns are defined as either int or bigint": which integer it is, is not asked. */
function capturedType(base: string): string {
  return ['tinyint', 'smallint', 'int', 'bigint'].includes(base) ? 'integer' : base
}

function newestFirst(a: CaptureInstance, b: CaptureInstance): number {
  return a.created < b.created ? 1 : -1
}

/** Values that are kept off the row: CDC tells them only where they changed. */
export function isLarge({ type }: CatalogColumn): boolean {
  return LARGE.has(type.base) || type.maxLength === -1
}

function findDangers({ facts, tables, instances }: CdcSetting): CapturePlan['dangers'] {
  const { largeValueBytesMax } = facts
  if (largeValueBytesMax === null) return []
  const tracked = new Set(instances.map(({ sourceTable }) => sourceTable))
  return tables
    .filter(({ table }) => tracked.has(table.info.oid) && table.captured.some(isLarge))
    .map(({ table }) => ({
      table: table.info.name,
      reason: `INSERT and UPDATE of the application fail when a large value has more than ${largeValueBytesMax} bytes`,
      remedySql: "EXEC sys.sp_configure 'max text repl size', -1; RECONFIGURE;",
    }))
}

export function enableSql({ table, isPartitioned }: CdcTable): string {
  const [schema, name] = namesOf(table.info.sqlName)
  const partitions = isPartitioned ? ', @allow_partition_switch = 0' : ''
  return `EXEC sys.sp_cdc_enable_table @source_schema = ${schema}, @source_name = ${name}, @role_name = NULL, @supports_net_changes = 0${partitions};`
}

function disableSql({ table }: CdcTable, instance: CaptureInstance): string {
  const [schema, name] = namesOf(table.info.sqlName)
  return `EXEC sys.sp_cdc_disable_table @source_schema = ${schema}, @source_name = ${name}, @capture_instance = ${quoteText(instance.name)};`
}

/** @param sqlName as `quoteQualified` writes it */
function namesOf(sqlName: string): [string, string] {
  const at = sqlName.indexOf('].[')
  const plain = (quoted: string) => quoteText(quoted.replaceAll(']]', ']'))
  return [plain(sqlName.slice(1, at)), plain(sqlName.slice(at + 3, -1))]
}

/** The change table's name, as statements write it. */
export function changeTableName({ name }: CaptureInstance): string {
  return `[cdc].${quoteName(`${name}_CT`)}`
}
