/**
 * What a database administrator runs so that chartkeep may put patients back: a role of its own, beside the one that
 * reads. It writes nothing but what a plan names, but PostgreSQL cannot know which rows those will be: who holds its
 * password can write what the application can.
 */
import { quoteName } from './quote.ts'
import { passwordSql, roleSql, rowRightsSql, STOP_AT_ERRORS } from './setup-role.ts'

export interface WriterOptions {
  readonly role: string
  readonly database: string
}

export function writerSql({ role, database }: WriterOptions): string {
  const roleName = quoteName(role)
  const rights = rowRightsSql({
    role,
    builtIn: 'pg_read_all_data, pg_write_all_data',
    onTables: 'SELECT, INSERT, UPDATE, DELETE',
    onSequences: 'USAGE',
  })
  const shown = database.replace(/[\r\n]/g, ' ')
  return `-- What chartkeep needs to put patients back into the database ${shown}: a role of its own, which nothing else uses.
-- chartkeep 向数据库 ${shown} 恢复患者数据所需的权限：专用角色，不作他用。
-- Run it once as a superuser: psql -d ${shown} -f FILE. It may be run again.
-- 由超级用户执行一次（可重复执行）：psql -d ${shown} -f 文件名
${STOP_AT_ERRORS}

${roleSql(role, ' CONNECTION LIMIT 3', 'chartkeep_writer')}

-- It must see all rows that it compares with a plan.
-- 必须能读取全部行，才能与恢复方案逐行比对。
ALTER ROLE ${roleName} BYPASSRLS;
GRANT CONNECT ON DATABASE ${quoteName(database)} TO ${roleName};

-- It may read and write rows, and change no table: by the roles made for that since PostgreSQL 14; before, schema by
-- schema.
-- 可读写行数据，不能更改表结构：PostgreSQL 14 起使用内置角色；更早的版本逐个模式授权。
${rights}

${passwordSql(role)}`
}
