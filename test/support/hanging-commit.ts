import { connectClient, runSql } from '../source/postgres/support.ts'

/** Its commit record is written, and waits for a standby that does not exist: nobody sees its rows meanwhile. */
export async function whileCommitHangs(url: string, sql: string, work: () => Promise<void>): Promise<void> {
  await using client = await connectClient(url)
  await runSql(url, `ALTER SYSTEM SET synchronous_standby_names = 'nobody'`, 'SELECT pg_reload_conf()')
  await client.query('SET synchronous_commit = on')
  const names = async () => (await client.query('SHOW synchronous_standby_names')).rows[0].synchronous_standby_names
  while ((await names()) !== 'nobody') await client.query('SELECT pg_sleep(0.02)')
  const committed = client.query(sql)
  await using other = await connectClient(url)
  const waits = `SELECT 1 FROM pg_stat_activity WHERE pid = ${client.pid} AND wait_event = 'SyncRep'`
  while ((await other.query(waits)).rows.length === 0) await other.query('SELECT pg_sleep(0.02)')
  await work()
  await runSql(url, 'ALTER SYSTEM RESET synchronous_standby_names', 'SELECT pg_reload_conf()')
  await committed
}
