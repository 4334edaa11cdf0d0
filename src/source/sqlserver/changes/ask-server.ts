/**
 * Asks a SQL Server what `questions.ts` has.
 *
 * Change tables are read themselves, not through `cdc.fn_cdc_get_all_changes_…`: the function leaves out `__$command_id`,
 * and without it the operations of a transaction have no order ("cdc.<capture_instance>_CT": `__$seqval` "should not be
 * used for ordering"). What the function would check, that the interval is still there, is checked by who asks.
 */
import type { SourceIdentity } from '../../contract.ts'
import { type Field, hexOf, type Row, type Session } from '../connect.ts'
import { errorNumber, toSqlServerFailure } from '../failures.ts'
import { readIdentity, readRecovery } from '../identity.ts'
import { groupBy, readAllTables } from '../introspect.ts'
import { quoteName, quoteText } from '../quote.ts'
import { bentCondition, textForm } from '../row-text.ts'
import { type CdcLsn, packLsn, unpackLsn } from './lsn.ts'
import { changeTableName, isLarge } from './plan.ts'
import {
  type CapturedRow,
  type CapturedSpan,
  type CaptureInstance,
  type CdcFacts,
  type CdcQuestions,
  type CdcTable,
  MARK_TABLE,
  type PageQuestion,
  type Recovery,
  SLOT_TABLE,
  type SlotRow,
} from './questions.ts'

/** The name of a time zone of the server's own, to turn its local times by. */
const ZONE_SINCE_MAJOR = 16
const TAKEN = 2627
/** Express: no change data capture. Web has none either, and is told by its name. */
const EXPRESS = '4'
const HEADER_FIELDS = 6

/** Its connection is `session`, which ends with it. */
export function askServer(session: Session): CdcQuestions {
  return new ServerQuestions(session)
}

class ServerQuestions implements CdcQuestions {
  readonly #session: Session
  #zone: string | null = null

  constructor(session: Session) {
    this.#session = session
  }

  identify(): Promise<SourceIdentity> {
    return failing('identifying the source', () => readIdentity(this.#session))
  }

  recovery(): Promise<Recovery> {
    return failing('looking at the recovery fork', () => readRecovery(this.#session))
  }

  async facts(): Promise<CdcFacts> {
    const row = await this.#one('looking at change data capture', FACTS)
    return {
      edition: row.edition ?? '',
      hasCdc: row.engine_edition !== EXPRESS && !/^Web\b/.test(row.edition ?? ''),
      isEnabled: row.is_cdc_enabled === '1',
      hasAdr: row.has_adr === '1',
      isWritable: row.updateability !== 'READ_ONLY',
      collation: row.collation ?? null,
      largeValueBytesMax: row.text_max == null || row.text_max === '-1' ? null : Number(row.text_max),
      mayMark: row.may_mark === '1',
    }
  }

  tables(): Promise<readonly CdcTable[]> {
    return failing('reading the catalogs', async () => {
      const storage = groupBy(await this.#session.query(STORAGE), 'object_id')
      return (await readAllTables(this.#session)).map((table) => {
        const rows = storage.get(table.info.oid) ?? []
        return {
          table,
          created: rows[0]?.created ?? '',
          modified: rows[0]?.modified ?? '',
          storage: rows.map(({ hobt }) => hobt).join(','),
          isPartitioned: rows.some(({ is_partitioned }) => is_partitioned === '1'),
        }
      })
    })
  }

  instances(): Promise<readonly CaptureInstance[]> {
    return failing('looking at capture instances', async () => {
      const columns = groupBy(await this.#session.query(CAPTURED_COLUMNS), 'object_id')
      return (await this.#session.query(INSTANCES)).map((row) => ({
        name: row.name ?? '',
        changeTable: row.object_id ?? '',
        sourceTable: row.source_object_id ?? '',
        created: row.created ?? '',
        low: row.low ?? null,
        columns: (columns.get(row.object_id ?? '') ?? []).map(({ name, type, ordinal }) => {
          return { name: name ?? '', type: type ?? '', ordinal: Number(ordinal) }
        }),
        allowsSwitch: row.allows_switch === '1',
        hasCommandId: row.command_id !== null,
      }))
    })
  }

  async nowUs(): Promise<bigint> {
    const row = await this.#one('asking for the time', `SELECT ${microseconds('SYSUTCDATETIME()')} AS us`)
    return BigInt(row.us ?? 0)
  }

  async captured(): Promise<CdcLsn | null> {
    return await this.#lsn('SELECT TOP (1) m.start_lsn AS lsn FROM cdc.lsn_time_mapping m ORDER BY m.start_lsn DESC')
  }

  async capturedBefore(seconds: number): Promise<CdcLsn | null> {
    return await this.#lsn(`SELECT TOP (1) m.start_lsn AS lsn FROM cdc.lsn_time_mapping m
      WHERE m.tran_end_time <= DATEADD(second, ${-Math.ceil(seconds)}, GETDATE()) ORDER BY m.start_lsn DESC`)
  }

  async span(): Promise<CapturedSpan | null> {
    const row = await this.#one('looking how long changes are kept', SPAN)
    if (row.oldest == null || row.newest == null) return null
    return { oldestSeconds: Number(row.oldest), newestSeconds: Number(row.newest) }
  }

  page(question: PageQuestion): Promise<readonly CapturedRow[]> {
    return failing(`reading changes of ${question.followed.table.info.name}`, async () => {
      const statement = pageStatement(question, await this.#utcOf('m.tran_end_time'))
      const rows: CapturedRow[] = []
      for await (const fields of this.#session.rows(statement)) rows.push(capturedRow(question, fields))
      return rows
    })
  }

  async mark(token: string): Promise<void> {
    await this.#run('marking the log', `UPDATE ${MARK_TABLE} SET token = ${quoteText(token)} WHERE id = 1`)
  }

  async markedAt(token: string, from: CdcLsn): Promise<CdcLsn | null> {
    return await this.#lsn(`SELECT TOP (1) c.[__$start_lsn] AS lsn FROM cdc.[chartkeep_mark_CT] c
      WHERE c.[__$start_lsn] >= 0x${from} AND c.token = ${quoteText(token)} AND c.[__$operation] IN (2, 4)`)
  }

  async readSlot(slot: string): Promise<SlotRow | null> {
    const [row] = await failing(`looking at slot ${slot}`, () =>
      this.#session.query(`SELECT confirmed, followed FROM ${SLOT_TABLE} WHERE name = ${quoteText(slot)}`),
    )
    if (row === undefined) return null
    return { confirmed: packLsn(row.confirmed ?? ''), followed: JSON.parse(row.followed ?? '{}') }
  }

  async createSlot(slot: string, row: SlotRow): Promise<boolean> {
    const [confirmed, followed] = slotValues(row)
    try {
      await this.#session.query(
        `INSERT INTO ${SLOT_TABLE} (name, confirmed, followed) VALUES (${quoteText(slot)}, ${confirmed}, ${followed})`,
      )
      return true
    } catch (error) {
      if (errorNumber(error) === TAKEN) return false
      throw toSqlServerFailure(error, { doing: `making slot ${slot}`, side: 'source' })
    }
  }

  async writeSlot(slot: string, row: SlotRow): Promise<void> {
    const [confirmed, followed] = slotValues(row)
    const set = `SET confirmed = ${confirmed}, followed = ${followed}`
    await this.#run(`writing slot ${slot}`, `UPDATE ${SLOT_TABLE} ${set} WHERE name = ${quoteText(slot)}`)
  }

  async dropSlot(slot: string): Promise<void> {
    await this.#run(`dropping slot ${slot}`, `DELETE FROM ${SLOT_TABLE} WHERE name = ${quoteText(slot)}`)
  }

  async hold(slot: string): Promise<boolean> {
    const row = await this.#one(
      `following slot ${slot}`,
      `DECLARE @held int; EXEC @held = sp_getapplock @Resource = ${lockOf(slot)}, @LockMode = 'Exclusive', ` +
        "@LockOwner = 'Session', @LockTimeout = 0; SELECT @held AS held",
    )
    return Number(row.held ?? -1) >= 0
  }

  async isHeld(slot: string): Promise<boolean> {
    const row = await this.#one(
      `looking at slot ${slot}`,
      `SELECT APPLOCK_TEST('public', ${lockOf(slot)}, 'Exclusive', 'Session') AS free`,
    )
    return row.free === '0'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]()
  }

  /**
   * Commit times are the server's local time. From 2022 on it says in which zone that is, and an old time has the offset
   * of its own day; before, every time has the offset of today.
   */
  async #utcOf(local: string): Promise<string> {
    if (this.#zone === null) {
      const { major } = await this.#one(
        'asking for the version',
        "SELECT CONVERT(nvarchar(10), SERVERPROPERTY('ProductMajorVersion')) AS major",
      )
      const row =
        Number(major) >= ZONE_SINCE_MAJOR
          ? await this.#one('asking for the time zone', 'SELECT CURRENT_TIMEZONE_ID() AS zone')
          : { zone: '' }
      this.#zone = row.zone ?? ''
    }
    const time = `CONVERT(datetime2(3), ${local})`
    if (this.#zone === '') return `DATEADD(minute, -DATEPART(tzoffset, SYSDATETIMEOFFSET()), ${time})`
    return `CONVERT(datetime2(3), ${time} AT TIME ZONE ${quoteText(this.#zone)} AT TIME ZONE 'UTC')`
  }

  async #lsn(sql: string): Promise<CdcLsn | null> {
    return (await this.#one('looking how far changes are captured', sql)).lsn ?? null
  }

  async #one(doing: string, sql: string): Promise<Row> {
    const [row] = await failing(doing, () => this.#session.query(sql))
    return row ?? {}
  }

  async #run(doing: string, sql: string): Promise<void> {
    await failing(doing, () => this.#session.query(sql))
  }
}

async function failing<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toSqlServerFailure(error, { doing, side: 'source' })
  }
}

function slotValues({ confirmed, followed }: SlotRow): [string, string] {
  return [quoteText(unpackLsn(confirmed)), quoteText(JSON.stringify(followed))]
}

function lockOf(slot: string): string {
  return quoteText(`chartkeep slot ${slot}`)
}

/** The header's fields, then one for each large column (whether the update left it), then those of the line. */
export function pageStatement({ followed, from, to, after, limit }: PageQuestion, utc: string): string {
  const { table, instance } = followed
  const condition = bentCondition(table.captured)
  const bent = condition === null ? "N'0'" : `CASE WHEN ${condition} THEN N'1' ELSE N'0' END`
  const unchanged = table.captured.filter(isLarge).map(({ name }) => {
    const ordinal = instance.columns.find((column) => column.name === name)?.ordinal ?? 0
    return `CASE WHEN c.[__$operation] IN (3, 4) AND sys.fn_cdc_is_bit_set(${ordinal}, c.[__$update_mask]) = 0 THEN N'1' ELSE N'0' END`
  })
  const fields = table.captured.map(({ name, type }) => textForm(type)?.read(quoteName(name)))
  const header = [
    'c.[__$start_lsn]',
    'CONVERT(nvarchar(11), c.[__$command_id])',
    'c.[__$seqval]',
    'CONVERT(nvarchar(1), c.[__$operation])',
    microseconds(utc),
    bent,
  ]
  return `SELECT TOP (${limit}) ${[...header, ...unchanged, ...fields].join(', ')}
    FROM ${changeTableName(instance)} c LEFT JOIN cdc.lsn_time_mapping m ON m.start_lsn = c.[__$start_lsn]
    WHERE c.[__$start_lsn] >= 0x${from} AND c.[__$start_lsn] < 0x${to}${after === null ? '' : ` AND ${behindCursor(after)}`}
    ORDER BY c.[__$start_lsn], c.[__$command_id], c.[__$seqval], c.[__$operation]`
}

function behindCursor({ lsn, command, seqval, operation }: NonNullable<PageQuestion['after']>): string {
  const parts: readonly (readonly [string, string])[] = [
    ['c.[__$start_lsn]', `0x${lsn}`],
    ['c.[__$command_id]', String(command)],
    ['c.[__$seqval]', `0x${seqval}`],
    ['c.[__$operation]', String(operation)],
  ]
  const behind = parts.map(([column, value], position) => {
    const equal = parts.slice(0, position).map(([same, as]) => `${same} = ${as}`)
    return `(${[...equal, `${column} > ${value}`].join(' AND ')})`
  })
  return `(${behind.join(' OR ')})`
}

function capturedRow({ followed }: PageQuestion, fields: readonly Field[]): CapturedRow {
  const header = fields.slice(0, HEADER_FIELDS).map((field) => (Buffer.isBuffer(field) ? hexOf(field) : String(field)))
  const [lsn, command, seqval, operation, us, bent] = header
  const large = followed.table.captured.flatMap((column, position) => (isLarge(column) ? [position] : []))
  const unchanged = large.filter((_, index) => fields[HEADER_FIELDS + index] === '1')
  return {
    lsn: lsn ?? '',
    command: Number(command),
    seqval: seqval ?? '',
    operation: Number(operation),
    commitTimeUs: BigInt(us ?? 0),
    isBent: bent === '1',
    unchanged,
    fields: fields.slice(HEADER_FIELDS + large.length),
  }
}

/** Since 1970, of a time without offset. */
function microseconds(time: string): string {
  const day = `DATEDIFF(day, '19700101', ${time})`
  const ofDay = `DATEDIFF(millisecond, CONVERT(datetime2(3), CONVERT(date, ${time})), ${time})`
  return `CONVERT(nvarchar(20), CONVERT(bigint, ${day}) * 86400000000 + CONVERT(bigint, ${ofDay}) * 1000)`
}

const FACTS = `
  SELECT CONVERT(nvarchar(10), SERVERPROPERTY('EngineEdition')) AS engine_edition,
    CONVERT(nvarchar(128), SERVERPROPERTY('Edition')) AS edition, CONVERT(int, d.is_cdc_enabled) AS is_cdc_enabled,
    CONVERT(int, DATABASEPROPERTYEX(DB_NAME(), 'IsAcceleratedDatabaseRecoveryOn')) AS has_adr,
    CONVERT(nvarchar(20), DATABASEPROPERTYEX(DB_NAME(), 'Updateability')) AS updateability,
    CONVERT(nvarchar(128), DATABASEPROPERTYEX(DB_NAME(), 'Collation')) AS collation,
    (SELECT CONVERT(nvarchar(20), CONVERT(bigint, v.value_in_use)) FROM sys.configurations v
      WHERE v.name = 'max text repl size (B)') AS text_max,
    CASE WHEN HAS_PERMS_BY_NAME('${MARK_TABLE}', 'OBJECT', 'UPDATE') = 1
      AND HAS_PERMS_BY_NAME('${SLOT_TABLE}', 'OBJECT', 'INSERT') = 1
      AND HAS_PERMS_BY_NAME('${SLOT_TABLE}', 'OBJECT', 'UPDATE') = 1
      AND HAS_PERMS_BY_NAME('${SLOT_TABLE}', 'OBJECT', 'DELETE') = 1 THEN 1 ELSE 0 END AS may_mark
  FROM sys.databases d WHERE d.name = DB_NAME()`

/** Times of both are the server's local time. */
const SPAN = `
  SELECT CONVERT(nvarchar(20), DATEDIFF(second, MIN(m.tran_end_time), GETDATE())) AS oldest,
    CONVERT(nvarchar(20), DATEDIFF(second, MAX(m.tran_end_time), GETDATE())) AS newest
  FROM cdc.lsn_time_mapping m`

const STORAGE = `
  SELECT CONVERT(nvarchar(20), t.object_id) AS object_id, CONVERT(nvarchar(27), t.create_date, 121) AS created,
    CONVERT(nvarchar(27), t.modify_date, 121) AS modified, CONVERT(nvarchar(20), p.hobt_id) AS hobt,
    CASE WHEN p.partition_number > 1 THEN 1 ELSE 0 END AS is_partitioned
  FROM sys.tables t JOIN sys.partitions p ON p.object_id = t.object_id AND p.index_id IN (0, 1)
  ORDER BY t.object_id, p.partition_number`

const INSTANCES = `
  SELECT i.capture_instance AS name, CONVERT(nvarchar(20), i.object_id) AS object_id,
    CONVERT(nvarchar(20), i.source_object_id) AS source_object_id, CONVERT(nvarchar(27), i.create_date, 121) AS created,
    i.start_lsn AS low, CONVERT(int, i.partition_switch) AS allows_switch,
    (SELECT CONVERT(nvarchar(10), c.column_id) FROM sys.columns c
      WHERE c.object_id = i.object_id AND c.name = '__$command_id') AS command_id
  FROM cdc.change_tables i`

const CAPTURED_COLUMNS = `
  SELECT CONVERT(nvarchar(20), c.object_id) AS object_id, c.column_name AS name, c.column_type AS type,
    CONVERT(nvarchar(10), c.column_ordinal) AS ordinal
  FROM cdc.captured_columns c ORDER BY c.object_id, c.column_ordinal`
