/**
 * The part of the setup script that lets a backup ask Change Tracking. It makes each write of the application a little
 * dearer, and SWITCH impossible ("Manage change tracking"), so it is not run unless somebody takes the comment signs away.
 */

/** A word for each backup, tracked itself: by it the next one knows that the database was not put back meanwhile. */
export const SEEN_TABLE_SQL =
  'CREATE TABLE [chartkeep].[seen] (token nvarchar(40) NOT NULL PRIMARY KEY, seen_at datetime2(0) NOT NULL);'

/** In days: for so long a backup may be missing before the next one reads everything. */
const RETENTION_DAYS = 7

/** One batch, as `captureSql`. @param user and `database` as statements name them */
export function trackingSql(user: string, database: string): string {
  return `
-- Where changes are not followed: Change Tracking, by which a backup reads only rows that changed since the last one. In every
-- edition; no job. It keeps the keys of changed rows, at about the cost of one more index, and nothing of moments between two
-- backups. Take away the first and the last line of this part to run it, and run it again after tables were added.
-- 若不启用 CDC：更改跟踪（Change Tracking），备份只需读取上次备份以来变化的行。所有版本均支持，无需作业；只记录变化行的主键
-- （开销约等于多一个索引），不保留两次备份之间的历史。去掉本段首尾两行即可执行；新增表后请再次执行。
/*
IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_databases WHERE database_id = DB_ID())
  ALTER DATABASE ${database} SET CHANGE_TRACKING = ON (CHANGE_RETENTION = ${RETENTION_DAYS} DAYS, AUTO_CLEANUP = ON);
-- A table of ours: a word for each backup, which tells the next one that the database was not put back in between.
-- chartkeep 自己的一张小表：每次备份写入一个标记，用于判断其间数据库是否被还原过。
IF SCHEMA_ID(N'chartkeep') IS NULL EXEC (N'CREATE SCHEMA [chartkeep]');
IF OBJECT_ID(N'chartkeep.seen') IS NULL
  ${SEEN_TABLE_SQL}
GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::[chartkeep] TO ${user};
-- Every table with a primary key, ours too. From then on TRUNCATE TABLE goes, SWITCH and dropping the primary key do not.
-- 所有有主键的表（包括上面这张）。启用后仍可 TRUNCATE，但不能 SWITCH 分区或删除主键。
DECLARE @track nvarchar(max) = N'';
SELECT @track = @track + N'ALTER TABLE ' + QUOTENAME(s.name) + N'.' + QUOTENAME(t.name) + N' ENABLE CHANGE_TRACKING;'
FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id
WHERE t.is_ms_shipped = 0 AND (s.name <> N'chartkeep' OR t.name = N'seen')
  AND NOT EXISTS (SELECT 1 FROM sys.change_tracking_tables c WHERE c.object_id = t.object_id)
  AND EXISTS (SELECT 1 FROM sys.indexes i WHERE i.object_id = t.object_id AND i.is_primary_key = 1 AND i.is_disabled = 0);
EXEC sys.sp_executesql @track;
DECLARE @view nvarchar(max) = N'';
SELECT @view = @view + N'GRANT VIEW CHANGE TRACKING ON OBJECT::' + QUOTENAME(s.name) + N'.' + QUOTENAME(t.name) + N' TO ${user.replaceAll("'", "''")};'
FROM sys.change_tracking_tables c JOIN sys.tables t ON t.object_id = c.object_id JOIN sys.schemas s ON s.schema_id = t.schema_id;
EXEC sys.sp_executesql @view;
*/
GO
`
}
