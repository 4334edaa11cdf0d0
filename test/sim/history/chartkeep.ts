/** What chartkeep does during a history besides capture, by its own functions; and states read through every tree. */
import { setTimeout } from 'node:timers/promises'
import { type SnapshotReport, takeSnapshot } from '../../../src/backup/snapshot.ts'
import { type ChangeLog, listLogs, openLog } from '../../../src/repository/change-log/reader.ts'
import type { Manifest, TableManifest } from '../../../src/repository/manifest.ts'
import type { Repository } from '../../../src/repository/repository.ts'
import { tableSpec } from '../../../src/repository/table-spec.ts'
import { TreeReader } from '../../../src/repository/tree/tree-reader.ts'
import { openSource } from '../../../src/source/open.ts'
import { never, type TestRepository } from '../../support/repository.ts'
import type { CapturePlace } from './capture-place.ts'
import type { Rows } from './model.ts'
import { worldLayout } from './world.ts'

export interface FollowOptions extends CapturePlace {
  readonly made: TestRepository
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
