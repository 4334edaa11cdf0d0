/** What the scripts for both roles say alike: a role that may log in and is nothing else, and its rights on rows. */
import { quoteName, quoteText } from './quote.ts'

/**
 * Refuses a role that is something else already: taking from the superuser or from the application's owner what they have
 * would stop the server's administration or the wards.
 * @param limits further attributes, as ALTER ROLE takes them
 * @param usual what such a role is called elsewhere
 */
export function roleSql(role: string, limits = '', usual = 'chartkeep'): string {
  const [name, text] = [quoteName(role), quoteText(role)]
  return `DO $chartkeep$
DECLARE
  known record;
BEGIN
  SELECT r.oid, r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolname = current_user OR EXISTS (
    SELECT FROM pg_catalog.pg_shdepend d
    WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o'
      AND d.classid <> 'pg_catalog.pg_publication'::regclass
  ) AS is_another INTO known FROM pg_catalog.pg_roles r WHERE r.rolname = ${text};
  IF known.is_another THEN
    RAISE EXCEPTION 'role % is an administrator or owns objects: chartkeep needs a role of its own; nothing was changed', ${text}
      USING HINT = 'Name another one in the address that setup-sql is given: postgres://${usual}@HOST/DATABASE';
  END IF;
  IF known.oid IS NULL THEN
    CREATE ROLE ${name};
  END IF;
  ALTER ROLE ${name} LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE${limits};
END
$chartkeep$;`
}

/** psql goes on behind an error, unless it is told not to. */
export const STOP_AT_ERRORS = '\\set ON_ERROR_STOP on'

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
