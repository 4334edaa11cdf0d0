/**
 * What a database administrator runs once, as sysadmin, so that chartkeep may read, or write what plans name: a script
 * for sqlcmd that explains itself in English and Chinese. Nothing is installed in the database and nothing of the clinical
 * system is changed, but that reads under SNAPSHOT isolation are allowed; following changes is a part of its own.
 *
 * The password is in no text: sqlcmd takes it from the environment, as the variable CHARTKEEP_PASSWORD.
 */
import { quoteName, quoteText } from './quote.ts'
import { captureSql } from './setup-capture.ts'
import { trackingSql } from './tracking/setup.ts'
import { parseUrl } from './url.ts'

interface Names {
  readonly login: string
  readonly database: string
}

/** For the login and the database that an address names. */
export function setupSqlFor(url: string, { writer }: { readonly writer?: boolean }): string {
  const { user, database } = parseUrl(url)
  const login = user ?? (writer ? 'chartkeep_writer' : 'chartkeep')
  const names = { login, database: database ?? 'icu' }
  return writer ? writerSql(names) : readerSql(names)
}

function readerSql(names: Names): string {
  const user = quoteName(names.login)
  return `-- What chartkeep needs to back up the database ${commentText(names.database)}.
-- chartkeep 备份数据库 ${commentText(names.database)} 所需的权限。
${howToRun()}
${loginAndUser(names)}
-- It may read, and only read, all tables of this database, also those that will be made.
-- 只读权限，包括以后新建的表。
ALTER ROLE db_datareader ADD MEMBER ${user};
-- It sees definitions (tables, keys, views, procedures), which a rebuilt database is made of.
-- 允许查看对象定义：重建数据库需要这些定义。
GRANT VIEW DEFINITION TO ${user};
-- It must see values as they are: a backup of masked values would be none. chartkeep refuses to read them otherwise.
-- 必须读取未经掩码的原值，否则备份无效（chartkeep 会拒绝读取）。
GRANT UNMASK TO ${user};
GO

-- Reads of all tables as of one moment, without locks on rows, while the application goes on writing. Row versions are
-- then kept in tempdb (in the database itself where accelerated database recovery is on): watch its room. The statement
-- waits for open transactions of the database to end; nobody has to log off. It is what stays changed.
-- 允许快照隔离：应用写入的同时，可按同一时刻一致读取全部表，不加行锁。行版本保存在 tempdb（启用 ADR 时保存在本库），请关注其空间。
-- 该语句会等待本库中未结束的事务，无需断开任何用户。
IF (SELECT snapshot_isolation_state FROM sys.databases WHERE name = ${quoteText(names.database)}) = 0
  ALTER DATABASE ${quoteName(names.database)} SET ALLOW_SNAPSHOT_ISOLATION ON;
GO
${captureSql(user)}${trackingSql(user, quoteName(names.database))}`
}

function writerSql(names: Names): string {
  const user = quoteName(names.login)
  return `-- What chartkeep needs to put patients back into the database ${commentText(names.database)}: a login of its own, which nothing
-- else uses. It writes nothing but what a plan names, but who holds its password can write what the application can.
-- chartkeep 向数据库 ${commentText(names.database)} 恢复患者数据所需的权限：专用登录名，不作他用。
${howToRun()}
${loginAndUser(names)}
-- It may read and write rows of all tables, and sees their definitions.
-- 可读写所有表的行数据，并查看对象定义。
ALTER ROLE db_datareader ADD MEMBER ${user};
ALTER ROLE db_datawriter ADD MEMBER ${user};
GRANT VIEW DEFINITION TO ${user};
GRANT UNMASK TO ${user};
GO

-- A row that is put back keeps its number: SQL Server asks for ALTER on a table before it takes a number for an identity
-- column. Run this again after such tables were added.
-- 恢复的行保留原编号：写入标识列需要该表的 ALTER 权限。新增含标识列的表后请再次执行。
DECLARE @grants nvarchar(max) = N'';
SELECT @grants = @grants + N'GRANT ALTER ON OBJECT::' + QUOTENAME(s.name) + N'.' + QUOTENAME(t.name) + N' TO ${user.replaceAll("'", "''")};'
FROM sys.identity_columns i JOIN sys.tables t ON t.object_id = i.object_id JOIN sys.schemas s ON s.schema_id = t.schema_id
WHERE t.is_ms_shipped = 0;
EXEC sys.sp_executesql @grants;
GO
`
}

function howToRun(): string {
  return `-- Run it once as sysadmin; it may be run again. The password comes from the environment and is written nowhere:
-- 由 sysadmin 执行一次（可重复执行）；密码取自环境变量，不写入任何文件：
--   CHARTKEEP_PASSWORD=…  sqlcmd -S SERVER -b -i FILE`
}

function loginAndUser({ login, database }: Names): string {
  const name = quoteName(login)
  return `USE [master];
GO
-- A login that may connect and is nothing else.
-- 创建只能连接的登录名。
IF SUSER_ID(${quoteText(login)}) IS NULL
  CREATE LOGIN ${name} WITH PASSWORD = N'$(CHARTKEEP_PASSWORD)', CHECK_POLICY = ON;
GO
USE ${quoteName(database)};
GO
IF DATABASE_PRINCIPAL_ID(${quoteText(login)}) IS NULL
  CREATE USER ${name} FOR LOGIN ${name};
`
}

/** A name in a comment stays in its line. */
function commentText(name: string): string {
  return name.replace(/[\r\n]/g, ' ')
}
