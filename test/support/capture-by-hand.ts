/**
 * A database that is being captured, with snapshots that the captured changes carry on from: what a test of moments
 * between snapshots needs. The capture is the real one, in this process.
 */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { capture } from '../../src/backup/capture/capture.ts'
import type { CaptureEvent } from '../../src/backup/capture/events.ts'
import { CAPTURE_DEFAULTS } from '../../src/backup/capture/settings.ts'
import { takeSnapshot } from '../../src/backup/snapshot.ts'
import { Failure } from '../../src/errors.ts'
import type { PatientLayout } from '../../src/intake/table-plan.ts'
import { listLogs, openLog } from '../../src/repository/change-log/reader.ts'
import { formatLsn } from '../../src/repository/lsn.ts'
import type { Manifest } from '../../src/repository/manifest.ts'
import { openSource } from '../../src/source/open.ts'
import { runSql } from '../source/postgres/support.ts'
import { never, type TestRepository } from './repository.ts'

const WAIT_MS = 20_000

export interface CapturedDatabase extends AsyncDisposable {
  readonly events: readonly CaptureEvent[]
  /** On which the log goes on. */
  snapshot(): Promise<Manifest>
  /** Waits until the log holds everything that is committed now. @returns up to where */
  caughtUp(): Promise<bigint>
  /** Waits until the database was told so: that comes a second after the log has it. */
  confirmedBeyond(lsn: bigint): Promise<void>
  /** The log goes on no further, until `start`. */
  stop(): Promise<void>
  start(): Promise<void>
}

export interface Captured {
  readonly made: TestRepository
  readonly url: string
  readonly layout: PatientLayout
  /** For the publication; names as in SQL. */
  readonly tables: readonly string[]
  /** Somebody else has made the publication, and set the server up. */
  readonly isPublished?: boolean
  readonly leaseMs?: number
}

/** Publishes the tables and follows them. */
export async function captureDatabase(captured: Captured): Promise<CapturedDatabase> {
  const { made, url, layout, tables, isPublished, leaseMs = CAPTURE_DEFAULTS.leaseMs } = captured
  const repository = await made.open()
  const events: CaptureEvent[] = []
  let running: { readonly stop: AbortController; readonly done: Promise<void> } | null = null
  let snapshots = 0

  if (!isPublished) {
    await runSql(url, `ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'`, 'SELECT pg_reload_conf()')
    await runSql(url, `CREATE PUBLICATION chartkeep FOR TABLE ${tables.join(', ')}`)
  }

  const start = async () => {
    const stop = new AbortController()
    const connected = Promise.withResolvers<void>()
    const done = capture({
      repository,
      sourceName: 'icu',
      openSource: () => openSource({ url }),
      layout,
      settings: { ...CAPTURE_DEFAULTS, leaseMs, sealMs: 50, heartbeatMs: 2_000, progressMs: 500, pauseMinMs: 20 },
      spillDirectory: tmpdir(),
      nowMs: () => Date.now(),
      sleep: async (ms, signal) => {
        await pause(ms, undefined, { signal })
      },
      random: randomBytes,
      onEvent: (event) => {
        events.push(event)
        if (event.kind === 'connected') connected.resolve()
      },
      holder: 'a test',
      signal: stop.signal,
    })
    running = { stop, done }
    await Promise.race([connected.promise, done])
  }
  const stop = async () => {
    running?.stop.abort(new Failure('cancelled', 'the test stops it'))
    await running?.done
    running = null
  }
  const caughtUp = async () => {
    await using source = await openSource({ url })
    const wanted = await source.changes!.requestSeal()
    return await reached(wanted)
  }
  const reached = async (wanted: bigint) => {
    const log = await newestLog()
    for (let waited = 0; waited < WAIT_MS; waited += 20) {
      const end = await log.end()
      if (end >= wanted) return end
      await pause(20)
    }
    throw new Error(`the log did not get to ${formatLsn(wanted)}`)
  }
  const confirmedBeyond = async (lsn: bigint) => {
    await using source = await openSource({ url })
    const { slot } = (await newestLog()).start
    for (let waited = 0; waited < WAIT_MS; waited += 50) {
      if (((await source.changes!.slotState(slot))?.confirmedLsn ?? 0n) > lsn) return
      await pause(50)
    }
    throw new Error(`nothing beyond ${formatLsn(lsn)} was confirmed`)
  }
  const newestLog = async () => {
    const { logs } = await listLogs(repository, 'icu')
    return await openLog(repository, logs.at(-1)!.logId)
  }

  await start()
  return {
    events,
    start,
    stop,
    caughtUp,
    confirmedBeyond,
    snapshot: async () => {
      snapshots += 1
      await using source = await openSource({ url })
      const { snapshot } = await takeSnapshot({
        sourceName: 'icu',
        source,
        layout,
        repository,
        pool: made.pool,
        signal: never(),
        nowMs: () => Date.UTC(2026, 0, 2) + snapshots * 60_000,
        sleep: async () => {},
        onProgress: () => {},
      })
      const { manifest } = await repository.readManifest(snapshot)
      if (!manifest.log) throw new Error('the snapshot carries no log')
      return manifest
    },
    [Symbol.asyncDispose]: async () => {
      await stop()
      await using source = await openSource({ url })
      for (const { slot } of (await listLogs(repository, 'icu')).logs) await source.changes!.dropSlot(slot)
      await repository[Symbol.asyncDispose]()
    },
  }
}
