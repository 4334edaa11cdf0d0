/** What the scripts for both roles say alike: a role that may log in and is nothing else, and its rights on rows. */
import { quoteName, quoteText } from './quote.ts'

export function roleSql(role: string): string {
  return `DO $chartkeep$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ${quoteText(role)}) THEN
    CREATE ROLE ${quoteName(role)};
  END IF;
END
$chartkeep$;
ALTER ROLE ${quoteName(role)} LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE`
}

interface RowRights {
  readonly role: string
  /** Roles of PostgreSQL 14 and later. */
  readonly builtIn: string
  /** Before, for every schema there is. */
  readonly onTables: string
  readonly onSequences: string
  /** Statements of PL/pgSQL behind that; may use the record `found`. */
  readonly further?: string
}

export function rowRightsSql({ role, builtIn, onTables, onSequences, further = '' }: RowRights): string {
  const name = quoteText(role)
  return `DO $chartkeep$
DECLARE
  found record;
BEGIN
  IF current_setting('server_version_num')::integer >= 140000 THEN
    GRANT ${builtIn} TO ${quoteName(role)};
    RETURN;
  END IF;
  FOR found IN SELECT n.nspname AS name FROM pg_catalog.pg_namespace n
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', found.name, ${name});
    EXECUTE format('GRANT ${onTables} ON ALL TABLES IN SCHEMA %I TO %I', found.name, ${name});
    EXECUTE format('GRANT ${onSequences} ON ALL SEQUENCES IN SCHEMA %I TO %I', found.name, ${name});
  END LOOP;
${further}END
$chartkeep$;`
}

/** psql asks for it. */
export function passwordSql(role: string): string {
  return `-- Its password: psql asks for it, and it is written nowhere.
-- 设置密码：psql 会提示输入，不会写入任何文件。
\\password ${quoteName(role)}
`
}
