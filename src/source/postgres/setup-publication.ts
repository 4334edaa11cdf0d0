/**
 * The part of the administrator's script that lets changes be captured: a publication that lists tables one by one.
 *
 * A published table without a usable replica identity makes the application's own UPDATE and DELETE fail (P9, F34, F44).
 * So only tables whose rows are found by an immediate primary key are listed, never FOR ALL TABLES, and what has become
 * unusable since is taken out again. Nothing of any table is changed.
 */
import { inExtension, shownName, statementName, USER_SCHEMA } from './catalog.ts'
import { quoteName, quoteText } from './quote.ts'

export interface PublicationOptions {
  readonly role: string
  readonly publication: string
  /** Tables that are not backed up: `TableInfo.name`, or the topmost parent of partitions. */
  readonly exclude: readonly string[]
}

export function publicationSql({ role, publication, exclude }: PublicationOptions): string {
  const name = quoteName(publication)
  const inText = name.replaceAll("'", "''")
  const excluded = exclude.length === 0 ? `ARRAY[]::text[]` : `ARRAY[${exclude.map(quoteText).join(', ')}]`
  return `-- It may follow the changes (logical replication).
-- 允许通过逻辑复制跟踪数据变更。
ALTER ROLE ${quoteName(role)} REPLICATION;

-- The changes of these tables are followed: tables with a primary key by which their rows can be found. Tables without one
-- are left out on purpose, because publishing them would make the application's UPDATE and DELETE fail; they are read in
-- full at each backup. Run this again after tables were added or changed. Each table is waited for 5 seconds at most.
-- 仅发布具有可用主键的表：发布没有主键的表会导致应用程序的 UPDATE 和 DELETE 失败，这些表改为在每次备份时完整读取。
-- 新增或修改表之后请重新执行本脚本。每张表最多等待 5 秒。
DO $chartkeep$
DECLARE
  found record;
BEGIN
  PERFORM set_config('lock_timeout', '5s', true);
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = ${quoteText(publication)}) THEN
    CREATE PUBLICATION ${name} WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = false);
  END IF;
  IF EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = ${quoteText(publication)} AND puballtables) THEN
    RAISE EXCEPTION 'publication ${inText.replaceAll('%', '%%')} is FOR ALL TABLES: drop it, and run this script again';
  END IF;
  FOR found IN ${tablesSql(publication, excluded)}
  LOOP
    BEGIN
      IF found.usable AND NOT found.listed THEN
        EXECUTE 'ALTER PUBLICATION ${inText} ADD TABLE ONLY ' || found.sql_name;
      ELSIF found.listed AND NOT found.usable THEN
        EXECUTE 'ALTER PUBLICATION ${inText} DROP TABLE ONLY ' || found.sql_name;
      END IF;
    EXCEPTION WHEN lock_not_available THEN
      RAISE WARNING 'table % is in use: run this script again later', found.name;
    END;
  END LOOP;
END
$chartkeep$;
ALTER PUBLICATION ${name} OWNER TO ${quoteName(role)};

-- What the server itself must be set to; this script changes nothing of it.
-- 服务器参数检查（本脚本不会修改这些参数）。
DO $chartkeep$
BEGIN
  IF current_setting('wal_level') <> 'logical' THEN
    RAISE WARNING 'changes cannot be followed yet: ALTER SYSTEM SET wal_level = ''logical'', then restart the server';
  END IF;
  -- Without a limit, a capture that has stopped makes the server keep its log until the disk is full.
  IF (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size') = '-1' THEN
    RAISE WARNING 'no limit for replication slots: ALTER SYSTEM SET max_slot_wal_keep_size = ''20GB''; SELECT pg_reload_conf()';
  END IF;
END
$chartkeep$;
`
}

function tablesSql(publication: string, excluded: string): string {
  const name = shownName('n.nspname', 'c.relname')
  return `WITH RECURSIVE
    naming(type) AS (
      SELECT oid FROM pg_catalog.pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typname ~ '^reg'
      UNION
      SELECT c.outer_type FROM naming JOIN (
        SELECT oid AS outer_type, typelem AS inner_type FROM pg_catalog.pg_type WHERE typelem <> 0
        UNION SELECT oid, typbasetype FROM pg_catalog.pg_type WHERE typbasetype <> 0
        UNION SELECT t.oid, a.atttypid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_attribute a
          ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) c ON c.inner_type = naming.type),
    root(leaf, relid) AS (
      SELECT oid, oid FROM pg_catalog.pg_class WHERE relkind = 'r'
      UNION ALL
      SELECT root.leaf, i.inhparent FROM root JOIN pg_catalog.pg_class p ON p.oid = root.relid AND p.relispartition
        JOIN pg_catalog.pg_inherits i ON i.inhrelid = p.oid)
    SELECT ${name} AS name, ${statementName('n.nspname', 'c.relname')} AS sql_name,
      EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
        WHERE p.pubname = ${quoteText(publication)} AND r.prrelid = c.oid) AS listed,
      coalesce(c.relpersistence = 'p' AND k.indisvalid AND k.indimmediate
        AND NOT EXISTS (SELECT FROM unnest(k.indkey::int2[]) key(attnum) JOIN pg_catalog.pg_attribute a
          ON a.attrelid = c.oid AND a.attnum = key.attnum WHERE a.attgenerated <> '')
        AND (c.relreplident = 'd' OR (c.relreplident = 'i' AND k.indisreplident) OR (c.relreplident = 'f'
          AND NOT (current_setting('server_version_num')::integer >= 180000 AND EXISTS (SELECT FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attgenerated <> ''))))
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
          AND NOT a.attisdropped AND a.atttypid IN (SELECT type FROM naming))
        AND NOT EXISTS (SELECT FROM root JOIN pg_catalog.pg_class rc ON rc.oid = root.relid
          JOIN pg_catalog.pg_namespace rn ON rn.oid = rc.relnamespace
          WHERE root.leaf = c.oid AND ${shownName('rn.nspname', 'rc.relname')} = ANY (${excluded})), false) AS usable
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_index k ON k.indrelid = c.oid AND k.indisprimary
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND ${USER_SCHEMA} AND NOT ${inExtension('pg_class', 'c.oid')}
    ORDER BY 1`
}
