/**
 * The newest snapshot as a database of its own, and the proof that it is the same: by chartkeep's roots, computed anew
 * from the rebuilt rows, and by PostgreSQL alone, which digests every table of both databases.
 */
import type { Manifest } from '../../src/repository/manifest.ts'
import { databaseBytes, digestByPostgres } from './databases.ts'
import { formatCount, formatSeconds } from './format.ts'
import { readManifest } from './read-manifest.ts'
import { rootsOfRebuilt } from './rebuilt-roots.ts'
import { type NotHeld, type RestoreResult, shapes, type TableResult } from './result.ts'
import { fromCheckout, type Stage } from './stage.ts'
import { assembleTables, isEqual } from './tables.ts'

const REBUILT = 'icu_rebuilt'

export interface Rebuilt {
  readonly restore: RestoreResult
  readonly tables: readonly TableResult[]
  readonly notHeld: readonly NotHeld[]
  readonly ledgerVerdict: string
  readonly serverVersion: string
  readonly databaseBytes: number
}

export async function rebuild(stage: Stage, snapshots: { base: string; second: string }): Promise<Rebuilt> {
  const { story, places, server, sourceUrl } = stage
  const into = await server.createDatabase(REBUILT)
  const command = ['restore', 'database', '--config', places.configuration, '--at', 'latest', '--into', into]
  const restore = await story.asks('restore', command, shapes.restore, describeRestore)
  story.expect('restore', restore.snapshot === snapshots.second, `${restore.snapshot} was restored, not the newest`)

  const manifest = await readManifest(stage, snapshots.second)
  const tables = await prove(stage, { into, baseSnapshot: snapshots.base, manifest })
  const rows = tables.reduce((sum, table) => sum + table.rowsRebuilt, 0)
  story.expect('prove', rows === restore.rows, `${rows} rows are there, ${restore.rows} were restored`)

  const ledger = ['ledger', 'verify', '--config', places.configuration, '--since', places.checkpoint]
  return {
    restore,
    tables,
    notHeld: [...manifest.notCaptured, ...manifest.ddl.notCarried],
    ledgerVerdict: (await story.types('ledger', ledger)).trim(),
    serverVersion: manifest.source.serverVersion,
    databaseBytes: await databaseBytes(sourceUrl),
  }
}

function describeRestore(done: RestoreResult): string {
  return [
    `usable after ${formatSeconds(done.secondsUsable)}: ${formatCount(done.rows)} rows, keys, indexes, sequences`,
    `proved in ${formatSeconds(done.secondsProof)}: every root, computed anew, equals the snapshot's`,
  ].join('\n')
}

interface Proof {
  readonly into: string
  readonly baseSnapshot: string
  readonly manifest: Manifest
}

async function prove(stage: Stage, { into, baseSnapshot, manifest }: Proof): Promise<TableResult[]> {
  const { story, places, sourceUrl } = stage
  const names = manifest.tables.map((table) => table.sqlName)
  const work = async () => {
    const { repositoryUrl, passphrase } = places
    const rebuilt = { url: into, repositoryUrl, passphraseFile: fromCheckout(passphrase), manifest, baseSnapshot }
    const { base, roots } = await rootsOfRebuilt(rebuilt)
    const [source, target] = await Promise.all([digestByPostgres(sourceUrl, names), digestByPostgres(into, names)])
    return assembleTables({ base, manifest, roots, source, target })
  }
  const tables = await story.does(
    'prove',
    work,
    (found) => `${found.filter(isEqual).length} of ${found.length} tables: rows, roots and PostgreSQL's own MD5 equal`,
  )
  const different = tables.filter((table) => !isEqual(table)).map((table) => table.name)
  story.expect('prove', different.length === 0, `these tables differ: ${different.join(', ')}`)
  return tables
}
