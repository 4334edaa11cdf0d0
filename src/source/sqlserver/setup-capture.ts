/**
 * The part of the script that lets changes be followed: change data capture, and two small tables of ours. It changes how
 * the server works (the capture job reads the log, change tables take room), so it is not run unless somebody takes the
 * comment signs away.
 */

/** A row of `mark` is what was said last (1), or a restore of ours that is under way; a slot is where a change log has got to. */
export const OWN_TABLES = [
  'CREATE TABLE [chartkeep].[mark] (id int NOT NULL PRIMARY KEY, token nvarchar(200) NOT NULL);',
  'CREATE TABLE [chartkeep].[slot] (name nvarchar(63) NOT NULL PRIMARY KEY, confirmed nvarchar(20) NOT NULL, followed nvarchar(max) NOT NULL);',
] as const

/** A week: a capture that stops on a Friday is missed on a Monday. */
export const RETENTION_MINUTES = 7 * 24 * 60

/** One batch: a line that says GO would end even a comment. @param user as statements name it */
export function captureSql(user: string): string {
  const [mark, slot] = OWN_TABLES
  return `
-- To follow changes (chartkeep capture): change data capture (CDC). Not in Express or Web editions; SQL Server Agent must run.
-- It reads the transaction log and fills change tables, which take room; the log is kept until it has read it. Take away the
-- first and the last line of this part to run it, and run it again after tables were added or got columns.
-- 如需跟踪变更（chartkeep capture）：启用变更数据捕获（CDC）。Express 与 Web 版不支持；SQL Server Agent 必须运行。
-- CDC 读取事务日志并写入更改表（占用空间），日志在读取前不会截断。去掉本段首尾两行即可执行；新增表或列后请再次执行。
/*
-- CDC makes the application's own writes of large values fail above 65536 bytes unless this is raised. It is of the server.
-- 启用 CDC 后，应用程序写入超过 65536 字节的大值会失败，除非提高此（实例级）上限。
EXEC sys.sp_configure 'max text repl size', -1; RECONFIGURE;
IF (SELECT is_cdc_enabled FROM sys.databases WHERE name = DB_NAME()) = 0 EXEC sys.sp_cdc_enable_db;
-- Two tables of ours: a word that tells how far changes have been captured, and where each change log has got to.
-- chartkeep 自己的两张小表：用于确认捕获进度，以及记录各变更日志的位置。
IF SCHEMA_ID(N'chartkeep') IS NULL EXEC (N'CREATE SCHEMA [chartkeep]');
IF OBJECT_ID(N'chartkeep.mark') IS NULL
BEGIN
  ${mark}
  EXEC (N'INSERT INTO [chartkeep].[mark] VALUES (1, N''-'')');
END;
IF OBJECT_ID(N'chartkeep.slot') IS NULL
  ${slot}
GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::[chartkeep] TO ${user};
-- Every table with a primary key. Those without one are read in full each time. Rows must not be switched between partitions.
-- 所有有主键的表；无主键的表每次完整读取。禁止分区切换（切换不会被捕获）。
DECLARE @enable nvarchar(max) = N'';
SELECT @enable = @enable + N'EXEC sys.sp_cdc_enable_table @source_schema = N''' + REPLACE(s.name, N'''', N'''''')
  + N''', @source_name = N''' + REPLACE(t.name, N'''', N'''''') + N''', @role_name = NULL, @supports_net_changes = 0'
  + CASE WHEN EXISTS (SELECT 1 FROM sys.partitions p WHERE p.object_id = t.object_id AND p.partition_number > 1)
      THEN N', @allow_partition_switch = 0;' ELSE N';' END
FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id
WHERE t.is_ms_shipped = 0 AND t.is_tracked_by_cdc = 0 AND (s.name <> N'chartkeep' OR t.name = N'mark')
  AND EXISTS (SELECT 1 FROM sys.indexes i WHERE i.object_id = t.object_id AND i.is_primary_key = 1);
EXEC sys.sp_executesql @enable;
-- For how long changes are kept, in minutes: for so long capture may stand still without a gap.
-- 更改保留时长（分钟）：捕获停止不超过该时长就不会产生缺口。
EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = ${RETENTION_MINUTES};
*/
GO
`
}
