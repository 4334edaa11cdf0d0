/**
 * Counters: sequences, and the identity of tables, which is one in all but name. What was given out last is kept, so that
 * no number of a row that is gone is given to another (F24).
 */
import type { SequenceInfo } from '../contract.ts'
import type { Row, Session } from './connect.ts'
import type { CatalogTable } from './introspect.ts'
import { quoteName, quoteQualified, quoteText, shownName } from './quote.ts'

/** Before the table's own name: what it says is an identity, not a sequence. */
const IDENTITY_OF = 'identity of '

export async function readSequences(session: Session, tables: readonly CatalogTable[]): Promise<SequenceInfo[]> {
  const named = new Map(tables.map(({ info }) => [info.oid, info]))
  const identities = (await session.query(IDENTITIES)).flatMap((row) => {
    const table = named.get(row.object_id ?? '')
    return table ? [sequenceInfo(`${IDENTITY_OF}${table.name}`, table.sqlName, row)] : []
  })
  const sequences = (await session.query(SEQUENCES)).map((row) =>
    sequenceInfo(
      shownName(row.schema_name ?? '', row.name ?? ''),
      quoteQualified(row.schema_name ?? '', row.name ?? ''),
      row,
    ),
  )
  return [...identities, ...sequences].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** `last_value` is null of an identity that has given out nothing. */
function sequenceInfo(name: string, sqlName: string, row: Row): SequenceInfo {
  const isCalled = row.last_value !== null && row.last_value !== undefined
  return { name, sqlName, lastValue: isCalled ? row.last_value! : (row.start_value ?? '1'), isCalled }
}

export async function setSequence(session: Session, sequence: SequenceInfo): Promise<void> {
  if (!sequence.isCalled) return
  if (sequence.name.startsWith(IDENTITY_OF)) return await reseed(session, sequence)
  const [row] = await session.query(`${SEQUENCES} AND q.object_id = OBJECT_ID(${quoteText(sequence.sqlName)})`)
  const next = BigInt(sequence.lastValue) + BigInt(row?.step ?? 1)
  await session.query(`ALTER SEQUENCE ${sequence.sqlName} RESTART WITH ${next}`)
}

/** The first row of a table that never had one gets the seed itself, every other one the seed and a step. */
async function reseed(session: Session, { sqlName, lastValue }: SequenceInfo): Promise<void> {
  const [identity] = await session.query(`${IDENTITIES} AND i.object_id = OBJECT_ID(${quoteText(sqlName)})`)
  const column = quoteName(identity?.column_name ?? '')
  const step = BigInt(identity?.step ?? 1)
  const [rows] = await session.query(
    `SELECT CONVERT(nvarchar(40), MAX(${column})) AS high, CONVERT(nvarchar(40), MIN(${column})) AS low FROM ${sqlName}`,
  )
  const furthest = step > 0n ? rows?.high : rows?.low
  const captured = BigInt(lastValue)
  if (furthest === null || furthest === undefined) return await checkIdent(session, sqlName, captured + step)
  const present = BigInt(furthest)
  const isBeyond = step > 0n ? present > captured : present < captured
  await checkIdent(session, sqlName, isBeyond ? present : captured)
}

async function checkIdent(session: Session, sqlName: string, value: bigint): Promise<void> {
  // N'…' is for names beyond ASCII: Babelfish takes the N for a part of the name.
  const text = quoteText(sqlName)
  const name = /^[ -~]*$/.test(sqlName) ? text.slice(1) : text
  await session.query(`DBCC CHECKIDENT (${name}, RESEED, ${value}) WITH NO_INFOMSGS`)
}

const IDENTITIES = `
  SELECT CONVERT(nvarchar(20), i.object_id) AS object_id, i.name AS column_name,
    CONVERT(nvarchar(40), i.last_value) AS last_value, CONVERT(nvarchar(40), i.seed_value) AS start_value,
    CONVERT(nvarchar(40), i.increment_value) AS step
  FROM sys.identity_columns i JOIN sys.tables t ON t.object_id = i.object_id WHERE t.is_ms_shipped = 0`

/** One that never gave out anything shows its start as current; going on behind it leaves out one number at the most. */
const SEQUENCES = `
  SELECT s.name AS schema_name, q.name AS name, CONVERT(nvarchar(40), q.current_value) AS last_value,
    CONVERT(nvarchar(40), q.start_value) AS start_value, CONVERT(nvarchar(40), q.increment) AS step
  FROM sys.sequences q JOIN sys.schemas s ON s.schema_id = q.schema_id WHERE q.is_ms_shipped = 0`
