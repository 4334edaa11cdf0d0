/**
 * What a database administrator runs once, as superuser, so that chartkeep may read: a script for psql that explains
 * itself in English and Chinese. Nothing is installed in the database and nothing of the clinical system is changed.
 *
 * The password is asked for by psql and is in no text. BYPASSRLS is needed because a role that row-level security
 * applies to would read fewer rows than there are; chartkeep refuses to read then (P8).
 */
import { quoteName, quoteText } from './quote.ts'
import { publicationSql } from './setup-publication.ts'
import { passwordSql, roleSql, rowRightsSql, STOP_AT_ERRORS } from './setup-role.ts'
import { writerSql } from './setup-writer.ts'
import { parseUrl } from './url.ts'

const DEFAULT_PUBLICATION = 'chartkeep'

export interface SetupOptions {
  readonly role: string
  readonly database: string
  readonly publication: string
  /** Tables that are not backed up, so that their changes are not asked for. */
  readonly exclude: readonly string[]
}

/** For the role and the database that an address names. */
export function setupSqlFor(
  url: string,
  { exclude, writer }: { readonly exclude: readonly string[]; readonly writer?: boolean },
): string {
  const { user, database } = parseUrl(url)
  const role = user ?? (writer ? 'chartkeep_writer' : 'chartkeep')
  if (writer) return writerSql({ role, database: database ?? role })
  return setupSql({ role, database: database ?? role, publication: DEFAULT_PUBLICATION, exclude })
}

export function setupSql({ role, database, publication, exclude }: SetupOptions): string {
  const roleName = quoteName(role)
  return `-- What chartkeep needs to back up the database ${commentText(database)}.
-- chartkeep 备份数据库 ${commentText(database)} 所需的权限。
-- Run it once as a superuser: psql -d ${commentText(database)} -f FILE. It may be run again.
-- 由超级用户执行一次（可重复执行）：psql -d ${commentText(database)} -f 文件名

${STOP_AT_ERRORS}

-- A role that may log in and is nothing else.
-- 创建只能登录的角色。
${roleSql(role)}

-- It must see all rows: a backup without the rows that row-level security hides would be no backup.
-- 必须能读取全部行：若行级安全策略隐藏了部分行，备份就不完整。
ALTER ROLE ${roleName} BYPASSRLS;

-- It may connect to this database.
-- 允许连接此数据库。
GRANT CONNECT ON DATABASE ${quoteName(database)} TO ${roleName};

-- It may read, and only read, all tables and sequences: by the role made for that since PostgreSQL 14; before, schema
-- by schema, and for the tables that their owners will make.
-- 只读权限，包括所有表和序列：PostgreSQL 14 起使用内置角色；更早的版本逐个模式授权，并涵盖以后新建的表。
${rowRightsSql({ role, builtIn: 'pg_read_all_data', onTables: 'SELECT', onSequences: 'SELECT', further: futureTablesSql(role) })}

${publicationSql({ role, publication, exclude })}
${passwordSql(role)}`
}

/** Of the tables that their owners will make. */
function futureTablesSql(role: string): string {
  return `  FOR found IN SELECT DISTINCT pg_get_userbyid(c.relowner) AS name FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  LOOP
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT USAGE ON SCHEMAS TO %I', found.name, ${quoteText(role)});
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT SELECT ON TABLES TO %I', found.name, ${quoteText(role)});
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT SELECT ON SEQUENCES TO %I', found.name, ${quoteText(role)});
  END LOOP;
`
}

/** A name in a comment stays in its line. */
function commentText(name: string): string {
  return name.replace(/[\r\n]/g, ' ')
}
