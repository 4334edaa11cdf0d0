import { connectClient, runSql, type TestClient } from '../source/postgres/support.ts'

/** Its commit record is written, and waits for a standby that does not exist: nobody sees its rows meanwhile. */
export async function whileCommitHangs(url: string, sql: string, work: () => Promise<void>): Promise<void> {
  await using client = await connectClient(url)
  let committed: Promise<unknown> = Promise.resolve()
  {
    await using _held = await holdCommits(url)
    await client.query('SET synchronous_commit = on')
    committed = client.query(sql)
    await untilHeld(url, client.pid)
    await work()
  }
  await committed
}

/**
 * Until it is disposed of, commits with `synchronous_commit = on` wait for a standby that does not exist. Which standbys
 * there are is told to everybody by the checkpointer, which may hear of it later than any session: a commit is tried.
 */
export async function holdCommits(url: string): Promise<AsyncDisposable> {
  await runSql(url, `ALTER SYSTEM SET synchronous_standby_names = 'nobody'`, 'SELECT pg_reload_conf()')
  const elsewhere = new URL(url)
  elsewhere.pathname = '/postgres'
  await using probe = await connectClient(elsewhere.href)
  await probe.query('SET synchronous_commit = on')
  await using other = await connectClient(elsewhere.href)
  while (!(await isHeld(probe, other))) await other.query('SELECT pg_sleep(0.02)')
  return {
    [Symbol.asyncDispose]: () => runSql(url, 'ALTER SYSTEM RESET synchronous_standby_names', 'SELECT pg_reload_conf()'),
  }
}

/** Resolves when the commit of the backend `pid`, of any backend without it, waits for the standby. */
export async function untilHeld(url: string, pid?: number): Promise<void> {
  await using other = await connectClient(url)
  while (!(await waitsForStandby(other, pid))) await other.query('SELECT pg_sleep(0.02)')
}

async function isHeld(probe: TestClient, other: TestClient): Promise<boolean> {
  let isOver = false
  const commit = probe.query(`SELECT pg_logical_emit_message(true, 'probe', '')`).finally(() => {
    isOver = true
  })
  while (!isOver) {
    if (await waitsForStandby(other, probe.pid)) {
      await other.query(`SELECT pg_cancel_backend(${probe.pid})`)
      await commit
      return true
    }
  }
  await commit
  return false
}

async function waitsForStandby(client: TestClient, pid?: number): Promise<boolean> {
  const whose = pid === undefined ? '' : ` AND pid = ${pid}`
  const { rows } = await client.query(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'${whose}`)
  return rows.length > 0
}
