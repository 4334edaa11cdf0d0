/**
 * Rebuilds a whole database into an empty one, and proves it.
 *
 *     schema → rows, and keys and indexes of each table once its rows are there → attach → foreign keys, in parallel
 *            → everything else → sequences, views → every root computed anew from the rebuilt database, and statistics
 *
 * The target is marked as unfinished from the first statement to the last. A run that was killed leaves the mark, and
 * the next run begins by clearing what it marked: nothing else is ever cleared (I8).
 */
import { Failure } from '../errors.ts'
import type { BuildPool } from '../intake/build-pool.ts'
import { type ProvenTable, proveRoots } from '../intake/prove-roots.ts'
import type { Manifest } from '../repository/manifest.ts'
import type { Repository } from '../repository/repository.ts'
import type { ConnectionSettings, DdlStep, NotCaptured, Target } from '../source/contract.ts'
import { openSource, openTarget } from '../source/open.ts'
import { addForeignKeys, rebuildTables } from './rebuild-tables.ts'

export interface RestoreRequest {
  readonly repository: Repository
  readonly manifest: Manifest
  readonly into: ConnectionSettings
  readonly buildPool: BuildPool
  readonly signal: AbortSignal
  readonly nowMs: () => number
  readonly onProgress: (event: RestoreProgress) => void
}

export type RestoreStage =
  | 'clearing an unfinished restore'
  | 'schema'
  | 'rows'
  | 'keys and indexes'
  | 'foreign keys'
  | 'sequences and views'
  | 'proof'

export type RestoreProgress =
  | { readonly kind: 'stage'; readonly stage: RestoreStage }
  | { readonly kind: 'rows'; readonly bytes: number; readonly bytesTotal: number; readonly bytesPerSecond: number }

export interface RestoreReport {
  readonly snapshot: string
  readonly rows: number
  readonly tables: number
  /** Until rows, keys, indexes, sequences and views were usable. */
  readonly secondsUsable: number
  /** Until every root was compared, and statistics gathered beside that. */
  readonly secondsProof: number
  readonly seconds: number
  readonly verified: true
  /** What could not be rebuilt although every row is there. */
  readonly skipped: readonly NotCaptured[]
  readonly notCaptured: readonly NotCaptured[]
}

/** @throws target-…, repository-damaged, restore-unproved, store-… */
export async function restoreDatabase(request: RestoreRequest): Promise<RestoreReport> {
  const { manifest, into } = request
  const startedMs = request.nowMs()
  await using target = await openTarget(into)
  const mark = `chartkeep: unfinished restore into this database (repository ${request.repository.id})`
  if ((await target.readMark()) === mark) {
    request.onProgress({ kind: 'stage', stage: 'clearing an unfinished restore' })
    await target.clear()
  }
  await target.assertUsable(manifest.source)
  await target.setMark(mark)

  const skipped = await rebuild(request, target)
  const usableMs = request.nowMs()
  request.onProgress({ kind: 'stage', stage: 'proof' })
  await inBoth(prove(request), target.gatherStatistics())
  await target.setMark(null)

  const endedMs = request.nowMs()
  return {
    snapshot: manifest.snapshotId,
    rows: manifest.tables.reduce((sum, table) => sum + table.rows.rows, 0),
    tables: manifest.tables.length,
    secondsUsable: (usableMs - startedMs) / 1000,
    secondsProof: (endedMs - usableMs) / 1000,
    seconds: (endedMs - startedMs) / 1000,
    verified: true,
    skipped,
    notCaptured: [...manifest.notCaptured, ...manifest.ddl.notCarried],
  }
}

async function rebuild(request: RestoreRequest, target: Target): Promise<NotCaptured[]> {
  const { manifest, onProgress } = request
  const steps = (phase: DdlStep['phase']) => manifest.ddl.steps.filter((step) => step.phase === phase)
  const stage = (name: RestoreStage) => onProgress({ kind: 'stage', stage: name })
  const skipped: NotCaptured[] = []

  stage('schema')
  await target.runSteps(steps('before-rows'))
  stage('rows')
  const onRowsDone = () => stage('keys and indexes')
  const { skipped: broken, loosened } = await rebuildTables({ ...request, onLoaded: rowProgress(request), onRowsDone })
  skipped.push(...broken)
  await target.runSteps(steps('attach'), skipped)
  await target.checks?.tighten(loosened)
  stage('foreign keys')
  skipped.push(...(await addForeignKeys(request)))
  await target.runSteps(steps('after'), skipped)
  stage('sequences and views')
  await target.setSequences(manifest.sequences)
  await target.refreshViews()
  return [...skipped, ...target.skipped]
}

/** Neither is left alone while the other goes on. @throws what the first threw, else what the second threw */
async function inBoth(first: Promise<void>, second: Promise<void>): Promise<void> {
  for (const outcome of await Promise.allSettled([first, second])) {
    if (outcome.status === 'rejected') throw outcome.reason
  }
}

async function prove(request: RestoreRequest): Promise<void> {
  const { manifest, repository, buildPool, signal } = request
  await using rebuilt = await openSource(request.into)
  const proven = await proveRoots({ source: rebuilt, manifest, repository, pool: buildPool, signal })
  const unlike = proven.filter((table) => !table.equal)
  if (unlike.length === 0) return
  throw unproved(unlike)
}

function rowProgress(request: RestoreRequest): (bytes: number) => void {
  const startedMs = request.nowMs()
  const bytesTotal = request.manifest.tables.reduce((sum, table) => sum + table.rows.textBytes, 0)
  let total = 0
  return (bytes) => {
    total += bytes
    const elapsedMs = Math.max(1, request.nowMs() - startedMs)
    request.onProgress({ kind: 'rows', bytes: total, bytesTotal, bytesPerSecond: (total * 1000) / elapsedMs })
  }
}

function unproved(unlike: readonly ProvenTable[]): Failure {
  const first = unlike[0]!
  const more = unlike.length > 1 ? ` and ${unlike.length - 1} more tables` : ''
  return new Failure(
    'restore-unproved',
    `${first.table}${more}: the rebuilt rows have root ${first.foundRoot ?? 'of none'}, the snapshot's have ${first.expectedRoot}`,
    {
      context: { tables: unlike.length },
      hints: ['Do not use this database. Run `chartkeep scrub`, then restore again into a new, empty database.'],
    },
  )
}
