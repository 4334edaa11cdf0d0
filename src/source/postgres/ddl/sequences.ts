/** Sequences: on their own, and the options of those that an identity column makes for itself. */
import type { DdlStep } from '../../contract.ts'
import type { Row, Session } from '../connect.ts'
import { quoteName, quoteQualified } from '../quote.ts'
import { type Definition, id, isTrue, RANK, step, text, userObjects } from './statement.ts'

/** Not those of identity columns. */
export async function readStandaloneSequences(session: Session): Promise<Definition[]> {
  const rows = await session.query(
    `SELECT c.oid, n.nspname AS schema, c.relname AS name, format_type(q.seqtypid, NULL) AS type,
       c.relpersistence = 'u' AS unlogged, ${OPTION_COLUMNS}
     FROM ${userObjects('pg_class', 'c', 'relnamespace')} JOIN pg_catalog.pg_sequence q ON q.seqrelid = c.oid
     WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
       WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i')`,
  )
  return rows.map((row) => {
    const name = quoteQualified(text(row, 'schema'), text(row, 'name'))
    const unlogged = isTrue(row, 'unlogged') ? 'UNLOGGED ' : ''
    return {
      id: id('pg_class', row.oid),
      rank: RANK.sequence,
      object: `SEQUENCE ${row.schema}.${row.name}`,
      sql: `CREATE ${unlogged}SEQUENCE ${name} AS ${row.type} ${sequenceOptions(row)}`,
    }
  })
}

/** The columns that sequenceOptions() reads; `q` is pg_sequence. */
export const OPTION_COLUMNS =
  'q.seqstart AS start, q.seqincrement AS increment, q.seqmin AS min, q.seqmax AS max, q.seqcache AS cache, q.seqcycle AS cycle'

export function sequenceOptions(row: Row): string {
  const cycle = isTrue(row, 'cycle') ? 'CYCLE' : 'NO CYCLE'
  return `START WITH ${row.start} INCREMENT BY ${row.increment} MINVALUE ${row.min} MAXVALUE ${row.max} CACHE ${row.cache} ${cycle}`
}

/** OWNED BY, when both are there. */
export async function readSequenceOwners(session: Session): Promise<DdlStep[]> {
  const rows = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name, tn.nspname AS table_schema, t.relname AS table_name,
       a.attname AS column_name
     FROM ${userObjects('pg_class', 'c', 'relnamespace')}
       JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
         AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'a' AND d.refobjsubid > 0
       JOIN pg_catalog.pg_class t ON t.oid = d.refobjid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
       JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
     WHERE c.relkind = 'S' ORDER BY 1, 2`,
  )
  return rows.map((row) => {
    const sequence = quoteQualified(text(row, 'schema'), text(row, 'name'))
    const table = quoteQualified(text(row, 'table_schema'), text(row, 'table_name'))
    return step(
      'before-rows',
      `SEQUENCE OWNED BY ${row.schema}.${row.name}`,
      `ALTER SEQUENCE ${sequence} OWNED BY ${table}.${quoteName(text(row, 'column_name'))}`,
    )
  })
}
