/**
 * What a stream and its slot must never do: confirm what nobody kept (P6, F43), fall silent without an error (F31), keep the
 * server from shutting down, take on trust where it stands (P5), or wait for ever for a slot (P12).
 */
import { appendFileSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { startPostgres } from '../../../../scripts/support/postgres-server.ts'
import { openSource } from '../../../../src/source/open.ts'
import { startTcpProxy } from '../../../support/tcp-proxy.ts'
import { connectClient, describeOnServers, failureOf, runSql } from '../support.ts'
import { type Captured, capture, SILENCE_MS, streamVersions } from './support.ts'

const TABLE = 'CREATE TABLE t (a integer PRIMARY KEY, b text)'
/** Of our reports, which go out each second, two or three. */
const SOME_REPORTS_MS = 2500

describeOnServers('A stream', streamVersions, (server) => {
  it('confirms what it was told to and nothing else, and that within a second (P6, F43, I5)', async () => {
    await using captured = await capture(server(), { sql: [TABLE], publish: 't' })
    const before = await captured.changes.slotState(captured.slot)
    const followed = await captured.open()
    await captured.client.query('INSERT INTO t VALUES (1)')
    await captured.client.query('INSERT INTO t VALUES (2)')
    const [first, second] = await followed.untilSeal(captured.changes)
    // Read on meanwhile, so that every request of the server is answered.
    const reading = readOn(followed).catch(() => {})
    await sleep(SOME_REPORTS_MS)
    expect((await captured.changes.slotState(captured.slot))?.confirmedLsn).toBe(before?.confirmedLsn)

    followed.stream.confirm(first!.transaction.endLsn)
    await sleep(1500)
    expect((await captured.changes.slotState(captured.slot))?.confirmedLsn).toBe(first?.transaction.endLsn)
    await followed[Symbol.asyncDispose]()
    await reading
    await captured.free()
    await using again = await captured.open()
    expect((await again.untilSeal(captured.changes)).map(({ lines }) => lines)).toEqual([second?.lines])
  })

  it('gives again what was not confirmed, byte for byte, when it is opened again (P5)', async () => {
    await using captured = await capture(server(), { sql: [TABLE], publish: 't' })
    await captured.client.query(`INSERT INTO t VALUES (1, 'x'), (2, 'y')`)
    await captured.client.query(`UPDATE t SET a = 3 WHERE a = 1`)
    const first = await captured.open()
    const told = await first.untilSeal(captured.changes)
    await first[Symbol.asyncDispose]()
    await captured.free()
    await using again = await captured.open()
    const repeated = await again.untilSeal(captured.changes)
    const facts = (all: typeof told) =>
      all.map(({ lines, transaction: { xid, commitLsn, endLsn, commitTimeUs } }) => [
        xid,
        commitLsn,
        endLsn,
        commitTimeUs,
        lines,
      ])
    expect(facts(repeated)).toEqual(facts(told))
  })

  it('of a database where nothing happens still tells its position, and an idle slot can be moved (P12)', async () => {
    await using captured = await capture(server(), { sql: [TABLE], publish: 't' })
    await using followed = await captured.open(undefined, { silenceMaxMs: 2000 })
    await runSql(server().url(), 'CREATE TABLE IF NOT EXISTS elsewhere (a integer); INSERT INTO elsewhere VALUES (1)')
    const { rows } = await captured.client.query(`SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0') AS lsn`)
    expect(await followed.until(BigInt(rows[0].lsn))).toEqual([])
    const wanted = await captured.changes.requestSeal()
    const events = []
    for (let event = await followed.next(); ; event = await followed.next()) {
      if (event.kind !== 'position') events.push(event)
      if (event.kind === 'seal-requested') break
    }
    const [heartbeat, seal] = events
    expect(events.map(({ kind }) => kind)).toEqual(['transaction', 'seal-requested'])
    if (heartbeat?.kind !== 'transaction' || seal?.kind !== 'seal-requested') throw new Error('unreachable')
    expect(heartbeat.transaction).toMatchObject({ changeCount: 0, mark: null, endLsn: seal.lsn })
    expect(seal.lsn >= wanted).toBe(true)
  })

  it('that freezes half-open ends with an error, whoever was to speak (F31)', async () => {
    await using captured = await capture(server(), { sql: [TABLE], publish: 't' })
    const proxy = await startTcpProxy({ port: server().port })
    try {
      const url = `${captured.url.replace(`:${server().port}/`, `:${proxy.port}/`)}?sslmode=disable`
      await using source = await openSource({ url })
      // The questions come first, then the stream.
      proxy.plan([{ connection: 2, direction: 'down', afterBytes: 60_000, action: 'freeze' }])
      const stream = await source.changes!.openStream({
        slot: captured.slot,
        tables: ['public.t'],
        spillDirectory: captured.spillDirectory,
        signal: new AbortController().signal,
        silenceMaxMs: 1500,
      })
      await using _stream = stream
      await captured.client.query(`INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 2000) i`)
      const failure = await failureOf(async () => {
        for await (const _ of stream.events());
      })
      expect(failure).toMatchObject({ code: 'source-unreachable', isTransient: true })
      expect(failure.message).toContain('no sign of life')
      proxy.assertAllFired()
    } finally {
      await proxy.close()
    }
  })

  it('whose reader is slow does not end, and makes the server wait', async () => {
    await using captured = await capture(server(), { sql: [TABLE], publish: 't' })
    await using followed = await captured.open(undefined, { silenceMaxMs: 800 })
    await captured.client.query('INSERT INTO t VALUES (0)')
    await followed.nextTransaction()
    await captured.client.query(`INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 8000) i`)
    await sleep(2500)
    const { rows } = await captured.client.query(
      `SELECT write_lsn IS NOT NULL AS alive, pg_wal_lsn_diff(pg_current_wal_flush_lsn(), sent_lsn)::float8 AS unsent
       FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.slot_name = '${captured.slot}'`,
    )
    expect(rows).toEqual([{ alive: true, unsent: expect.any(Number) }])
    // What the server has not sent yet is the commit, and before it all those rows.
    expect(rows[0].unsent).toBeGreaterThan(0)
    const told = await followed.untilSeal(captured.changes)
    expect(told.map(({ changes }) => changes.length)).toEqual([8000])
  })

  it('ends with the reason of its signal, also while it waits', async () => {
    await using captured = await capture(server(), { sql: [TABLE], publish: 't' })
    await using followed = await captured.open()
    const reason = new Error('told to stop')
    const waiting = (async () => {
      for (;;) await followed.next()
    })()
    await Promise.race([sleep(300), waiting.catch(() => {})])
    followed.abort.abort(reason)
    await expect(waiting).rejects.toBe(reason)
  })

  it('is refused where the slot is missing, in use, or another’s publication is gone', async () => {
    await using captured = await capture(server(), { sql: [TABLE], publish: 't' })
    const open = (slot: string) =>
      captured.changes.openStream({
        slot,
        tables: ['public.t'],
        spillDirectory: captured.spillDirectory,
        signal: new AbortController().signal,
        silenceMaxMs: 5000,
      })
    expect((await failureOf(() => open('no_such_slot'))).code).toBe('slot-missing')
    const followed = await captured.open()
    await followed.untilSeal(captured.changes)
    expect((await failureOf(() => open(captured.slot))).code).toBe('slot-in-use')
    expect((await failureOf(() => captured.changes.dropSlot(captured.slot))).code).toBe('slot-in-use')
    await followed[Symbol.asyncDispose]()
    await captured.free()
    await runSql(captured.url, 'DROP PUBLICATION chartkeep')
    expect((await failureOf(() => open(captured.slot))).code).toBe('cannot-capture')
    const create = () =>
      captured.changes.createSlot(captured.slot, { lockTimeoutMs: 1000, signal: new AbortController().signal })
    expect((await failureOf(create)).code).toBe('slot-exists')
    await captured.changes.dropSlot(captured.slot)
    await captured.changes.dropSlot(captured.slot)
    expect(await captured.changes.slotState(captured.slot)).toBeNull()
  })
})

it('A stream whose publication is dropped ends with what is missing, instead of trying for ever (P7)', async () => {
  await using server = await startPostgres({ version: 15 })
  await using captured = await capture(server, { sql: [TABLE], publish: 't' })
  await using followed = await captured.open()
  await captured.client.query('INSERT INTO t VALUES (1)')
  await followed.untilSeal(captured.changes)
  await captured.client.query('DROP PUBLICATION chartkeep')
  const started = performance.now()
  await captured.client.query('INSERT INTO t VALUES (2)')
  expect((await failureOf(() => readOn(followed))).code).toBe('cannot-capture')
  // At once, and not when the watch for silence comes to it.
  expect(performance.now() - started).toBeLessThan(SILENCE_MS / 2)
})

describeOnServers('A slot', streamVersions, (server) => {
  it('that cannot be made in time is given up, leaves nothing, and the error says who is in the way (P12)', async () => {
    await using captured = await capture(server(), { sql: [TABLE] })
    await using other = await connectClient(server().url())
    await other.query('BEGIN; CREATE TABLE unfinished (a integer)')
    const create = (slot: string, signal = new AbortController().signal) =>
      captured.changes.createSlot(slot, { lockTimeoutMs: 300, signal })
    const failure = await failureOf(() => create('waiting'))
    expect(failure.code).toBe('source-failed')
    expect(failure.hints.join(' ')).toContain(`Process ${other.pid} in database postgres`)
    expect(await captured.changes.slotState('waiting')).toBeNull()

    const abort = new AbortController()
    const aborted = captured.changes.createSlot('aborted', { lockTimeoutMs: 60_000, signal: abort.signal })
    await sleep(300)
    abort.abort(new Error('told to stop'))
    await expect(aborted).rejects.toThrow('told to stop')
    expect(await captured.changes.slotState('aborted')).toBeNull()

    await other.query('ROLLBACK')
    const start = await create('made')
    const state = await captured.changes.slotState('made')
    expect(state).toMatchObject({ active: false, walStatus: 'reserved', confirmedLsn: start.startLsn, safeBytes: null })
    expect(BigInt(start.xidHorizon) > 0n).toBe(true)
    await captured.changes.dropSlot('made')
  })
})

it('A slot whose WAL the server gave up is lost, and says so (P12)', async () => {
  await using server = await startPostgres({
    version: 18,
    settings: { max_slot_wal_keep_size: '1MB', min_wal_size: '32MB', max_wal_size: '32MB' },
  })
  await using captured = await capture(server, { sql: [TABLE], publish: 't' })
  expect((await captured.changes.slotState(captured.slot))?.safeBytes).toBeGreaterThan(0n)
  for (let round = 0; round < 5; round += 1)
    await captured.client.query('SELECT pg_switch_wal(); INSERT INTO t VALUES (1); DELETE FROM t; CHECKPOINT')
  expect(await captured.changes.slotState(captured.slot)).toMatchObject({
    walStatus: 'lost: wal_removed',
    safeBytes: 0n,
  })
  expect((await failureOf(() => captured.open())).code).toBe('slot-lost')
})

it.each([
  ...new Set([13, ...streamVersions]),
])('A stream does not keep PostgreSQL %s from shutting down, nor from starting again', async (version) => {
  await using server = await startPostgres({ version })
  await using captured = await capture(server, { sql: [TABLE], publish: 't' })
  await using followed = await captured.open()
  await captured.client.query('INSERT INTO t VALUES (1)')
  await captured.client.query('INSERT INTO t VALUES (2)')
  const [first] = await followed.untilSeal(captured.changes)
  // From the first confirmation on, the server waits for all others before it goes down.
  followed.stream.confirm(first!.transaction.endLsn)
  while ((await captured.changes.slotState(captured.slot))?.confirmedLsn !== first?.transaction.endLsn) await sleep(50)
  const started = performance.now()
  const [failure] = await Promise.all([failureOf(() => readOn(followed)), server.stop()])
  expect(failure).toMatchObject({ code: 'source-unreachable', isTransient: true })
  expect(performance.now() - started).toBeLessThan(10_000)
  await server.start()
  await using restarted = await openSource({ url: captured.url })
  await using again = await captured.open(['public.t'])
  // The server writes confirmations down now and then only: the first may come again as well, the second must.
  expect((await again.untilSeal(restarted.changes!)).at(-1)?.lines).toEqual(['insert public.t - 2|\\N'])
}, 120_000)

async function readOn(followed: Awaited<ReturnType<Captured['open']>>): Promise<never> {
  for (;;) await followed.next()
}

it('The timelines that led to a server are told, and none of one that never took over (P5)', async () => {
  await using server = await startPostgres({ version: 15 })
  await using source = await openSource({ url: server.url() })
  expect(await source.changes?.timelines()).toEqual([])
  await server.stop()
  // Recovery from an archive that has nothing ends at once, and begins a new timeline.
  writeFileSync(join(server.dataDirectory, 'recovery.signal'), '')
  appendFileSync(join(server.dataDirectory, 'postgresql.auto.conf'), "restore_command = 'false'\n")
  await server.start()
  // It lets readers in a moment before it takes over.
  while (existsSync(join(server.dataDirectory, 'recovery.signal'))) await sleep(20)
  await using promoted = await openSource({ url: server.url() })
  const identity = await promoted.identify()
  const timelines = await promoted.changes?.timelines()
  expect(identity.timeline).toBe(2)
  expect(timelines?.map(({ timeline }) => timeline)).toEqual([1])
  expect(timelines![0]!.forkLsn > 0n).toBe(true)
})
