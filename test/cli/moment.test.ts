/** `restore database --at` a time between two snapshots, as somebody types it, and `compare` of what came of it. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { connectClient, runSql } from '../source/postgres/support.ts'
import { CaptureProcess } from './capture-process.ts'
import { lastObject, makeSite, type Site, setUpRepository } from './cli-support.ts'

// Processes, each of which waits its turn on a small machine that does something else besides.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

let site: Site
let capturing: CaptureProcess
let first: unknown
let time: string

beforeAll(async () => {
  site = await makeSite(`ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'`, 'SELECT pg_reload_conf()')
  await setUpRepository(site)
  capturing = await CaptureProcess.start(site)
  first = lastObject((await site.run(['backup', '--json'])).stdout).snapshot
  await runSql(site.adminUrl, 'UPDATE vital_sign SET value = 0 WHERE id <= 5')
  time = await clock()
  await runSql(site.adminUrl, 'SELECT pg_sleep(0.1)', 'DELETE FROM note WHERE stay_id = 103')
  // Its read makes the change log catch up.
  await site.run(['backup', '--json'])
})

afterAll(async () => {
  await capturing?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})

async function clock(): Promise<string> {
  await using client = await connectClient(site.adminUrl)
  const sql = `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`
  return (await client.query(sql)).rows[0].now
}

function restore(at: string, into: string, ...options: readonly string[]) {
  return site.run(['restore', 'database', '--at', at, '--into', into, ...options])
}

test('the plan names the snapshot, the change log, the transaction and its distance, and what stands as of the snapshot', async () => {
  const into = await site.server.createDatabase('planned')

  const forPrograms = await restore(time, into, '--dry-run', '--json')
  const forPeople = await restore(time, into, '--dry-run')

  const plan = lastObject(forPrograms.stdout)
  expect(plan).toMatchObject({
    type: 'plan',
    dryRun: true,
    snapshot: first,
    log: { segments: expect.any(Number), storedBytes: expect.any(Number) },
    transaction: { commitLsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/) },
    tablesAsOfSnapshot: [{ table: 'public.device_log' }],
    tablesAdded: [],
  })
  expect(plan.secondsBefore).toBeGreaterThan(0)
  expect(plan.secondsBefore).toBeLessThan(60)
  expect([forPeople.status, forPeople.stderr]).toEqual([0, ''])
  for (const word of ['changes ', 'moment ', 'just behind transaction', 'older     public.device_log', 'Nothing was']) {
    expect(forPeople.stdout).toContain(word)
  }
})

test('the restored database has what was there then, and compare says so', async () => {
  const into = await site.server.createDatabase('as_it_was')

  const restored = await restore(time, into, '--json')
  const compared = await site.run(['compare', '--at', time, '--against', into, '--json'])

  expect(restored.status).toBe(0)
  expect(lastObject(restored.stdout)).toMatchObject({ type: 'restore', verified: true, plan: { snapshot: first } })
  await using client = await connectClient(into)
  const counts =
    'SELECT (SELECT count(*)::int FROM note) AS notes, (SELECT count(*)::int FROM vital_sign WHERE value = 0) AS zeros'
  expect((await client.query(counts)).rows).toEqual([{ notes: 200, zeros: 5 }])
  expect([compared.status, lastObject(compared.stdout).status]).toEqual([0, 'passed'])
})

test('a time that is not kept is refused, with the moment next to it; so is --at without a restored database', async () => {
  const into = await site.server.createDatabase('never')

  const late = await restore('2999-01-01T00:00:00Z', into)
  const alone = await site.run(['compare', '--at', time])

  expect(late.status).toBe(37)
  expect(late.stderr).toMatch(/hint: The last change kept: --at [0-9A-F]+\/[0-9A-F]+\./)
  expect([alone.status, alone.stderr]).toEqual([2, expect.stringContaining('--against')])
})
