/** What chartkeep does during a history, by its own functions: snapshots, capture, and states read through every tree. */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { type CaptureRequest, capture } from '../../../src/backup/capture/capture.ts'
import type { CaptureEvent } from '../../../src/backup/capture/events.ts'
import { CAPTURE_DEFAULTS } from '../../../src/backup/capture/settings.ts'
import { slotName } from '../../../src/backup/capture/slot-name.ts'
import { type SnapshotReport, takeSnapshot } from '../../../src/backup/snapshot.ts'
import { type ChangeLog, listLogs, openLog } from '../../../src/repository/change-log/reader.ts'
import type { Manifest, TableManifest } from '../../../src/repository/manifest.ts'
import type { Repository } from '../../../src/repository/repository.ts'
import { tableSpec } from '../../../src/repository/table-spec.ts'
import { TreeReader } from '../../../src/repository/tree/tree-reader.ts'
import { openSource } from '../../../src/source/open.ts'
import { never, type TestRepository } from '../../support/repository.ts'
import type { Rows } from './model.ts'
import { worldLayout } from './world.ts'

export interface FollowOptions {
  readonly made: TestRepository
  readonly url: string
  /** One repository serves many histories, each as a source of its own. */
  readonly sourceName: string
  readonly sealMs: number
  readonly segmentTextBytes: number
}

const PATIENCE_MS = 60_000

/** Capture in this process. */
export class Follower {
  readonly events: CaptureEvent[] = []
  readonly #options: FollowOptions
  readonly #stop = new AbortController()
  readonly #ended: Promise<void>
  #failure: unknown = null

  constructor(options: FollowOptions) {
    this.#options = options
    this.#ended = capture(this.#request())
    this.#ended.catch((error: unknown) => {
      this.#failure = error
    })
  }

  async connected(): Promise<void> {
    await this.#until(async () => this.events.some(({ kind }) => kind === 'connected'))
  }

  /** Everything committed before the call is in the log when it returns. */
  async caughtUp(): Promise<void> {
    await using source = await openSource({ url: this.#options.url })
    const lsn = await source.changes!.requestSeal()
    const log = await newestLog(this.#options)
    await this.#until(async () => (await log.end()) >= lsn)
  }

  /** The server ends the connection, as after a failure of the network. */
  async cutOff(client: pg.Client): Promise<void> {
    const slot = slotName(this.#options.made.repository.id, this.#options.sourceName)
    await client.query(
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND slot_name = ${pg.escapeLiteral(slot)}`,
    )
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped by the history'))
    await this.#ended
  }

  async #until(condition: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    while (!(await condition())) {
      if (this.#failure) throw this.#failure
      if (performance.now() > deadline)
        throw new Error(`it did not come about: ${JSON.stringify(this.events.slice(-5))}`)
      await setTimeout(10)
    }
  }

  #request(): CaptureRequest {
    const { made, url, sourceName, sealMs, segmentTextBytes } = this.#options
    return {
      repository: made.repository,
      sourceName,
      openSource: () => openSource({ url }),
      layout: worldLayout,
      settings: {
        ...CAPTURE_DEFAULTS,
        sealMs,
        segmentTextBytes,
        progressMs: 300,
        heartbeatMs: 1000,
        pauseMinMs: 20,
        pauseMaxMs: 200,
      },
      spillDirectory: tmpdir(),
      nowMs: () => Date.now(),
      sleep: async (ms, signal) => {
        await setTimeout(ms, undefined, { signal })
      },
      random: randomBytes,
      holder: 'history',
      onEvent: (event) => this.events.push(event),
      signal: this.#stop.signal,
    }
  }
}

export async function backUp({ made, url, sourceName }: FollowOptions): Promise<SnapshotReport> {
  await using source = await openSource({ url })
  return await takeSnapshot({
    sourceName,
    source,
    layout: worldLayout,
    repository: made.repository,
    pool: made.pool,
    signal: never(),
    nowMs: () => Date.now(),
    sleep: async (ms) => {
      await setTimeout(ms)
    },
    onProgress: () => {},
  })
}

export async function newestLog({ made, sourceName }: FollowOptions): Promise<ChangeLog> {
  const { logs } = await listLogs(made.repository, sourceName)
  return await openLog(made.repository, logs.at(-1)!.logId)
}

/** By oid, sorted; every digest on the way is checked by the reader. */
export async function rowsOf(repository: Repository, manifest: Manifest, tables = manifest.tables): Promise<Rows> {
  const found = new Map<string, readonly string[]>()
  for (const table of tables) found.set(table.oid, await linesOf(repository, table))
  return found
}

async function linesOf(repository: Repository, table: TableManifest): Promise<string[]> {
  const reader = new TreeReader(tableSpec(table), repository.chunkReader(), repository.keyring.secrets)
  const text: Buffer[] = []
  for await (const rows of reader.leaves(table.rows)) text.push(Buffer.from(rows.text))
  return Buffer.concat(text).toString('utf8').split('\n').slice(0, -1).sort()
}
