/** A fake database, a repository in memory, and sessions of capture over both, in milliseconds. */
import { setTimeout } from 'node:timers/promises'
import type { CaptureEvent } from '../../src/backup/capture/events.ts'
import { runSession, type SessionRequest, type SessionWorld } from '../../src/backup/capture/run-session.ts'
import type { SessionEnd } from '../../src/backup/capture/session.ts'
import { CAPTURE_DEFAULTS, type CaptureSettings } from '../../src/backup/capture/settings.ts'
import { type LogStart, listLogs } from '../../src/repository/change-log/log-start.ts'
import { type ChangeLog, openLog } from '../../src/repository/change-log/reader.ts'
import type { Repository } from '../../src/repository/repository.ts'
import type { Store } from '../../src/repository/store/contract.ts'
import type { SourceIdentity } from '../../src/source/contract.ts'
import { FakeDatabase } from './fake-database.ts'
import type { FakeTable } from './fake-source.ts'
import { makeSimRepository, type SimRepository } from './sim-repository.ts'

export const FAKE_IDENTITY: SourceIdentity = {
  engine: 'postgresql',
  systemId: '7000000000000000001',
  timeline: 1,
  databaseOid: '16384',
  databaseName: 'fake',
  serverVersion: '15.0',
  serverVersionNumber: 150000,
  encoding: 'UTF8',
}

export const RIG_TABLES: Record<string, FakeTable> = {
  'public.patient': { columns: ['patient_id', 'name'], primaryKey: ['patient_id'], lines: ['1\tone', '2\ttwo'] },
  'public.drug': { columns: ['code'], primaryKey: ['code'], lines: [] },
  'public.log': { columns: ['patient_id', 'message'], primaryKey: [], lines: [] },
}

/** Small enough that a test waits for nothing. */
export const FAST: CaptureSettings = {
  ...CAPTURE_DEFAULTS,
  sealMs: 10,
  progressMs: 20,
  heartbeatMs: 10_000,
  slotWatchMs: 10,
  replanMs: 0,
  pauseMinMs: 5,
  pauseMaxMs: 20,
  leaseMs: 60_000,
}

export interface RunningSession {
  readonly events: CaptureEvent[]
  readonly ended: Promise<SessionEnd>
  /** Ends it well, and waits. */
  stop(): Promise<SessionEnd>
  /** As SIGKILL would: nothing more is written. */
  kill(): Promise<void>
}

export class CaptureRig {
  readonly simulated: SimRepository
  database: FakeDatabase
  readonly slot = 'chartkeep_test'
  atMs = Date.UTC(2026, 0, 2)
  settings: CaptureSettings = FAST

  private constructor(simulated: SimRepository, database: FakeDatabase) {
    this.simulated = simulated
    this.database = database
  }

  static async make(): Promise<CaptureRig> {
    return new CaptureRig(await makeSimRepository(), new FakeDatabase(RIG_TABLES, FAKE_IDENTITY))
  }

  repository(store: Store = this.simulated.store): Repository {
    return this.simulated.over(store)
  }

  request(options: { readonly store?: Store; readonly onEvent?: (event: CaptureEvent) => void } = {}): SessionRequest {
    return {
      repository: this.repository(options.store),
      sourceName: 'icu',
      openSource: async () => this.database.source(),
      layout: { exclude: new Set() },
      slot: this.slot,
      settings: this.settings,
      spillDirectory: '/nowhere',
      nowMs: () => performance.now() + this.atMs,
      sleep: async (ms, signal) => {
        await setTimeout(ms, undefined, { signal, ref: false })
      },
      random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
      onEvent: options.onEvent ?? (() => {}),
    }
  }

  start(
    options: { readonly store?: Store; readonly breakReason?: string; readonly token?: number } = {},
  ): RunningSession {
    const events: CaptureEvent[] = []
    const [stop, kill] = [new AbortController(), new AbortController()]
    const world: SessionWorld = {
      fence: { token: options.token ?? 1, assertHeld: () => {} },
      breakReason: options.breakReason ?? null,
      stop: stop.signal,
      abandon: kill.signal,
      onConnected: () => {},
    }
    const { store } = options
    const request = this.request({ ...(store && { store }), onEvent: (event) => events.push(event) })
    const ended = runSession(request, world)
    ended.catch(() => {})
    return {
      events,
      ended,
      stop: async () => {
        stop.abort(new Error('stopped by the test'))
        return await ended
      },
      kill: async () => {
        kill.abort(new Error('killed by the test'))
        await ended.catch(() => {})
      },
    }
  }

  async listLogs(): Promise<readonly LogStart[]> {
    return (await listLogs(this.repository(), 'icu')).logs
  }

  async newestLog(): Promise<ChangeLog> {
    return await openLog(this.repository(), (await this.listLogs()).at(-1)!.logId)
  }

  /** Every line that was inserted, as the newest log has it, in order. */
  async loggedLines(): Promise<string[]> {
    const lines: string[] = []
    for await (const part of (await this.newestLog()).transactions()) {
      for (const { after } of part.changes) if (after) lines.push(Buffer.from(after).toString())
    }
    return lines
  }

  /** Until the log has everything up to here. */
  async settled(lsn: bigint): Promise<void> {
    await until(async () => (await (await this.newestLog()).end()) >= lsn)
  }
}

export async function until(condition: () => boolean | Promise<boolean>, ms = 5_000): Promise<void> {
  const deadline = performance.now() + ms
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('it did not come about in time')
    await setTimeout(5)
  }
}
