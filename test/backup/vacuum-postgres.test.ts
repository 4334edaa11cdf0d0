/**
 * VACUUM gives space back while a snapshot is taken. It has a transaction's number then, and nobody's snapshot lists it
 * among those in progress: it passes for committed, and commits later (see repository/state/other-history.ts).
 */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it, vi } from 'vitest'
import { stateAt } from '../../src/repository/state/state.ts'
import { resolveTarget } from '../../src/repository/state/target.ts'
import { parseVisibility } from '../../src/repository/visibility.ts'
import { connectClient, describeOnServers, oldestAndNewest, runSql } from '../source/postgres/support.ts'
import { captureDatabase } from '../support/capture-by-hand.ts'
import { makeRepository, never } from '../support/repository.ts'
import { wardLayout, wardSql } from '../support/ward.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const VITALS = 40_000
const TABLES = ['patient', 'icu_stay', 'vital_sign', 'drug']

describeOnServers('VACUUM beside a snapshot', oldestAndNewest, (server) => {
  it('makes no other history of it, though it commits behind a position that seems to have it (P3, P5)', async () => {
    const url = await server().createDatabase('icu')
    await runSql(url, ...wardSql({ vitals: VITALS }), 'ALTER TABLE vital_sign SET (autovacuum_enabled = off)')
    await using made = await makeRepository()
    await using captured = await captureDatabase({ made, url, layout: wardLayout, tables: TABLES })
    await runSql(url, 'DELETE FROM vital_sign WHERE id > 10')

    // As a backup of our own would, were it slower.
    await using holder = await connectClient(url)
    await holder.query('BEGIN; LOCK TABLE vital_sign IN ACCESS SHARE MODE')
    await using cleaner = await connectClient(url)
    const cleaned = cleaner.query('VACUUM vital_sign')
    const { xid, pid } = await numberOf(url, 'VACUUM vital_sign')
    // It tries for five seconds, and a slow machine may need longer for the snapshot.
    process.kill(pid, 'SIGSTOP')
    const first = await captured.snapshot().finally(() => process.kill(pid, 'SIGCONT'))
    const { xmax, inProgress } = parseVisibility(first.position.visible)
    expect([xid < xmax, inProgress.has(xid)]).toEqual([true, false])
    await runSql(url, `INSERT INTO drug VALUES ('N1', 'new'), ('N2', 'new')`)
    await holder.query('COMMIT')
    await cleaned
    await captured.caughtUp()

    const target = await resolveTarget({ repository: made.repository, sourceName: 'icu', at: 'now' })
    const world = { temporaryDirectory: tmpdir(), random: randomBytes, signal: never() }
    await using state = await stateAt(made.repository, target, world)
    expect(rowsOf(state.manifest)).toEqual({ vitals: 10, drugs: 52 })
    const second = await captured.snapshot()
    expect([second.mode, rowsOf(second)]).toEqual(['incremental', { vitals: 10, drugs: 52 }])
  })
})

/** Of the transaction of a statement that is running: from when on it has one. */
async function numberOf(url: string, statement: string): Promise<{ readonly xid: bigint; readonly pid: number }> {
  await using client = await connectClient(url)
  for (let waited = 0; waited < 5_000; waited += 10) {
    const found = await client.query(
      `SELECT backend_xid::text AS xid, pid FROM pg_stat_activity
       WHERE query = '${statement}' AND backend_xid IS NOT NULL`,
    )
    if (found.rows.length > 0) {
      // So that its number is one of the past.
      await client.query('SELECT pg_current_xact_id()')
      return { xid: BigInt(found.rows[0].xid), pid: found.rows[0].pid }
    }
    await pause(10)
  }
  throw new Error('VACUUM gave no space back')
}

function rowsOf({ tables }: { readonly tables: readonly { name: string; rows: { rows: number } }[] }) {
  const of = (name: string) => tables.find((table) => table.name === name)?.rows.rows
  return { vitals: of('public.vital_sign'), drugs: of('public.drug') }
}
