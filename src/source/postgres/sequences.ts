/**
 * Sequences: their values now, and their values in a rebuilt database (F24).
 *
 * Sequences live outside transactions: a value read here may be younger than the snapshot the rows come from, never
 * older than what its rows used up. In a rebuilt database each is set as captured, then moved beyond every value of the
 * columns it feeds: rows may have been written by hand, and a sequence behind its ids fails the ward's next insert.
 */
import { Failure } from '../../errors.ts'
import type { SequenceInfo } from '../contract.ts'
import { inExtension, shownName, statementName, USER_SCHEMA } from './catalog.ts'
import type { Row, Session } from './connect.ts'
import { quoteName, quoteText } from './quote.ts'

const SEQUENCES_PER_STATEMENT = 200

export async function readSequences(session: Session): Promise<SequenceInfo[]> {
  const sequences = await session.query(
    `SELECT ${shownName('n.nspname', 'c.relname')} AS name, ${statementName('n.nspname', 'c.relname')} AS sql_name,
       has_schema_privilege(n.oid, 'USAGE') AND has_sequence_privilege(c.oid, 'SELECT') AS readable
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND ${USER_SCHEMA} AND NOT ${inExtension('pg_class', 'c.oid')}
     ORDER BY ${shownName('n.nspname', 'c.relname')} COLLATE "C"`,
  )
  assertReadable(sequences)
  const values: SequenceInfo[] = []
  for (let start = 0; start < sequences.length; start += SEQUENCES_PER_STATEMENT) {
    const batch = sequences.slice(start, start + SEQUENCES_PER_STATEMENT)
    const selects = batch.map((row, index) => `SELECT ${index} AS n, last_value, is_called FROM ${row.sql_name}`)
    const rows = await session.query(`${selects.join(' UNION ALL ')} ORDER BY n`)
    for (const [index, row] of rows.entries()) values.push(sequenceInfo(batch[index], row))
  }
  return values
}

function sequenceInfo(named: Row | undefined, row: Row): SequenceInfo {
  return {
    name: named?.name ?? '',
    sqlName: named?.sql_name ?? '',
    lastValue: row.last_value ?? '',
    isCalled: row.is_called === 't',
  }
}

function assertReadable(sequences: readonly Row[]): void {
  const hidden = sequences.filter((row) => row.readable !== 't').map((row) => row.name ?? '')
  if (hidden.length === 0) return
  const more = hidden.length > 5 ? ` and ${hidden.length - 5} more` : ''
  throw new Failure('missing-rights', `no right to read sequence ${hidden.slice(0, 5).join(', ')}${more}`, {
    hints: ['Let the database administrator run what `chartkeep setup-sql` prints.'],
    context: { sequences: hidden.length },
  })
}

export async function setSequence(session: Session, sequence: SequenceInfo): Promise<void> {
  const relation = `${quoteText(sequence.sqlName)}::regclass`
  await session.query(`SELECT setval(${relation}, ${BigInt(sequence.lastValue)}, ${sequence.isCalled})`)
  const feeds = await readFedColumns(session, relation)
  for (const fed of feeds) await moveBeyond(session, { sequence, relation, fed })
}

/** Columns that own the sequence (serial, identity), and columns whose default calls it. */
function readFedColumns(session: Session, relation: string): Promise<Row[]> {
  return session.query(
    `SELECT DISTINCT ${statementName('n.nspname', 'c.relname')} AS table_name, a.attname AS column_name,
       q.seqincrement > 0 AS ascending, q.seqmax, q.seqmin
     FROM pg_catalog.pg_sequence q
       JOIN (SELECT d.objid AS seq, d.refobjid AS relid, d.refobjsubid AS attnum FROM pg_catalog.pg_depend d
               WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
                 AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
             UNION
             SELECT d.refobjid, b.adrelid, b.adnum FROM pg_catalog.pg_depend d
               JOIN pg_catalog.pg_attrdef b ON b.oid = d.objid
               WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass
                 AND d.refclassid = 'pg_catalog.pg_class'::regclass) fed ON fed.seq = q.seqrelid
       JOIN pg_catalog.pg_class c ON c.oid = fed.relid AND c.relkind IN ('r', 'p')
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_catalog.pg_attribute a ON a.attrelid = fed.relid AND a.attnum = fed.attnum
     WHERE q.seqrelid = ${relation} AND NOT q.seqcycle AND a.atttypid IN (20, 21, 23, 1700)`,
  )
}

interface Move {
  readonly sequence: SequenceInfo
  readonly relation: string
  readonly fed: Row
}

async function moveBeyond(session: Session, { sequence, relation, fed }: Move): Promise<void> {
  const ascending = fed.ascending === 't'
  const [extreme] = await session.query(
    `SELECT ${ascending ? 'ceil(max' : 'floor(min'}(${quoteName(fed.column_name ?? '')})) AS value,
       (SELECT last_value FROM ${sequence.sqlName}) AS last, (SELECT is_called FROM ${sequence.sqlName}) AS is_called
     FROM ${fed.table_name}`,
  )
  if (extreme?.value === null || extreme?.value === undefined || !/^-?\d+$/.test(extreme.value)) return
  const used = BigInt(extreme.value)
  const last = BigInt(extreme.last ?? 0)
  const isBehind = ascending
    ? used > last || (used === last && extreme.is_called !== 't')
    : used < last || (used === last && extreme.is_called !== 't')
  // An id written by hand beyond the sequence's own bounds cannot be reached by it, and stays.
  const isWithinBounds = used <= BigInt(fed.seqmax ?? 0) && used >= BigInt(fed.seqmin ?? 0)
  if (isBehind && isWithinBounds) await session.query(`SELECT setval(${relation}, ${used}, true)`)
}
