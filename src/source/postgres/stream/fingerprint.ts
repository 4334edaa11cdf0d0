/**
 * What the rows of a table hang on besides the changes in the stream (P2, P7).
 *
 * Catalog changes that alter rows send nothing through the stream. So for each table the catalog rows that could do so are
 * digested, with the number of the transaction that wrote them (xmin): a thing that was changed and changed back is
 * noticed too; so a table's name, of which its row type has a copy. A domain's constraints are among them: rows that a new
 * one allows do not fit into a table made by the old one. Left out on purpose: pg_class's own xmin and the file of the
 * table, which TRUNCATE and VACUUM FULL change (the first is in the stream, the second changes no row), indexes that are
 * not the key, and statistics. Of a table that is published by what is above it only, the file is looked at all the
 * same: the server lets such a table become unlogged, and logged again, and tells nothing of what was written between. All of it is one statement, and so one snapshot; system types cannot change and are passed
 * over.
 */
import { createHash } from 'node:crypto'
import type { CatalogFingerprint } from '../../change-contract.ts'
import { inExtension, shownName, USER_SCHEMA } from '../catalog.ts'
import type { Row, Session } from '../connect.ts'

/** Below it are the types that came with the server. */
const FIRST_USER_OID = 16_384

export async function readFingerprint(session: Session, publication: string): Promise<CatalogFingerprint> {
  // The time first: whatever is stamped earlier had then begun to write its commit.
  const [clock] = await session.query(`SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS time`)
  const [position] = await session.query(`SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS lsn`)
  const rows = await session.query(fingerprintSql(session.serverVersionNumber), [publication])
  return { ...digestOf(rows), lsn: BigInt(position?.lsn ?? 0), timeUs: BigInt(clock?.time ?? 0) }
}

function digestOf(rows: readonly Row[]): Pick<CatalogFingerprint, 'digest' | 'tables'> {
  const tables = new Map(rows.map((row) => [row.name ?? '', row.digest ?? '']))
  const all = createHash('sha256')
  for (const name of [...tables.keys()].sort()) all.update(`${name}\t${tables.get(name)}\n`)
  return { digest: all.digest('hex'), tables }
}

/** For each table: parts in a fixed order, each a list in a fixed order, digested together. */
function fingerprintSql(version: number): string {
  const schemaPublications =
    version >= 150_000
      ? `UNION ALL SELECT above.leaf, 'schema', s.oid, s.xmin::text FROM above
           JOIN pg_catalog.pg_class c ON c.oid = above.relid
           JOIN pg_catalog.pg_publication_namespace s ON s.pnnspid = c.relnamespace
           JOIN publication p ON p.oid = s.pnpubid`
      : ''
  const multiranges = version >= 140_000 ? `UNION SELECT r.rngmultitypid, r.rngsubtype FROM pg_catalog.pg_range r` : ''
  return `WITH RECURSIVE
    publication AS MATERIALIZED (SELECT p.oid, p.xmin::text AS xmin, p.puballtables FROM pg_catalog.pg_publication p WHERE p.pubname = $1),
    wanted AS MATERIALIZED (SELECT c.oid, ${shownName('n.nspname', 'c.relname')} AS name, c.relpersistence, c.relreplident,
        c.relispartition, c.relfilenode, c.relrowsecurity, c.relforcerowsecurity, c.relnamespace, row_type.xmin::text AS named
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_type row_type ON row_type.oid = c.reltype
      WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND ${USER_SCHEMA} AND NOT ${inExtension('pg_class', 'c.oid')}),
    above(leaf, relid, depth, xmin) AS (
      SELECT oid, oid, 0, NULL FROM wanted
      UNION ALL
      SELECT above.leaf, i.inhparent, depth + 1, i.xmin::text FROM above JOIN pg_catalog.pg_inherits i ON i.inhrelid = above.relid),
    lineage AS (SELECT leaf, string_agg(concat_ws(' ', relid, xmin), ',' ORDER BY depth, relid) AS text FROM above GROUP BY leaf),
    columns AS MATERIALIZED (SELECT a.attrelid, a.attnum, a.xmin::text AS xmin, a.attname, a.atttypid, a.atttypmod, a.attisdropped,
        a.attgenerated, a.atthasmissing, a.attmissingval::text AS missing
      FROM wanted JOIN pg_catalog.pg_attribute a ON a.attrelid = wanted.oid AND a.attnum > 0),
    column_parts AS (SELECT attrelid, string_agg(concat_ws(' ', attnum, xmin, quote_ident(attname), atttypid, atttypmod,
        attisdropped, attgenerated, atthasmissing, md5(missing)), ',' ORDER BY attnum) AS text
      FROM columns GROUP BY attrelid),
    contained(outer_type, inner_type) AS MATERIALIZED (
      SELECT t.oid, t.typelem FROM pg_catalog.pg_type t WHERE t.typelem >= ${FIRST_USER_OID}
      UNION SELECT t.oid, t.typbasetype FROM pg_catalog.pg_type t WHERE t.typbasetype <> 0
      UNION SELECT t.oid, a.atttypid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_attribute a
        ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE t.typrelid <> 0 AND a.atttypid >= ${FIRST_USER_OID}
      UNION SELECT r.rngtypid, r.rngsubtype FROM pg_catalog.pg_range r
      ${multiranges}),
    used(relid, type) AS (
      SELECT DISTINCT attrelid, atttypid FROM columns WHERE atttypid >= ${FIRST_USER_OID}
      UNION
      SELECT used.relid, inner_type FROM used JOIN contained ON outer_type = used.type
      WHERE inner_type >= ${FIRST_USER_OID}),
    used_types AS MATERIALIZED (SELECT DISTINCT type FROM used),
    types AS MATERIALIZED (SELECT t.oid, concat_ws(' ', t.oid, t.xmin::text, quote_ident(t.typname), t.typnamespace,
        (SELECT string_agg(concat_ws(' ', e.oid, e.xmin::text, quote_ident(e.enumlabel)), ',' ORDER BY e.oid)
           FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
        (SELECT string_agg(d.oid::text, ',' ORDER BY d.oid) FROM pg_catalog.pg_constraint d WHERE d.contypid = t.oid),
        (SELECT string_agg(concat_ws(' ', a.attnum, a.xmin::text, quote_ident(a.attname), a.atttypid, a.atttypmod,
           a.attisdropped), ',' ORDER BY a.attnum)
           FROM pg_catalog.pg_attribute a WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid AND a.attnum > 0)) AS text
      FROM used_types JOIN pg_catalog.pg_type t ON t.oid = used_types.type),
    type_parts AS (SELECT used.relid, string_agg(types.text, ';' ORDER BY types.oid) AS text
      FROM used JOIN types ON types.oid = used.type GROUP BY used.relid),
    key_parts AS (SELECT i.indrelid, string_agg(concat_ws(' ', i.indisprimary, i.indisreplident, i.indisvalid, i.indimmediate,
        i.indnkeyatts, i.indkey::text), ',' ORDER BY i.indisprimary, i.indkey::text, i.indexrelid) AS text
      FROM pg_catalog.pg_index i JOIN wanted ON wanted.oid = i.indrelid
      WHERE i.indisprimary OR i.indisreplident GROUP BY i.indrelid),
    published(relid, kind, oid, xmin) AS (
      SELECT above.leaf, CASE depth WHEN 0 THEN 'table' ELSE 'above' END, r.oid, r.xmin::text FROM above
        JOIN pg_catalog.pg_publication_rel r ON r.prrelid = above.relid JOIN publication p ON p.oid = r.prpubid
      UNION ALL SELECT wanted.oid, 'all', 0, '' FROM wanted, publication WHERE puballtables
      ${schemaPublications}),
    publication_parts AS (SELECT relid, bool_or(kind = 'table') AS is_listed, concat_ws(' ', (SELECT concat_ws(' ', oid, xmin) FROM publication),
        string_agg(concat_ws(' ', kind, oid, xmin), ',' ORDER BY kind, oid)) AS text FROM published GROUP BY relid)
    SELECT w.name, encode(sha256(convert_to(concat_ws('|', w.oid, w.relpersistence, w.relreplident, w.relispartition,
        w.relrowsecurity, w.relforcerowsecurity, w.relnamespace, w.named, 'above ' || lineage.text, 'columns ' || c.text,
        'types ' || t.text, 'key ' || k.text, 'published ' || p.text,
        CASE WHEN NOT p.is_listed THEN 'file ' || w.relfilenode END), getdatabaseencoding())), 'hex') AS digest
    FROM wanted w LEFT JOIN lineage ON lineage.leaf = w.oid LEFT JOIN column_parts c ON c.attrelid = w.oid
      LEFT JOIN type_parts t ON t.relid = w.oid LEFT JOIN key_parts k ON k.indrelid = w.oid
      LEFT JOIN publication_parts p ON p.relid = w.oid`
}
