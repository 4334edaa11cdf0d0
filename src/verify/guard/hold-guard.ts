/**
 * The two ends of a guard. Each stands on a snapshot that was just taken, and on a reading of the whole database behind
 * it that found the snapshot's rows there: otherwise a change past capture would be in neither.
 *
 *     begin ── snapshot ── compared ─┐  the change of the clinical system  ┌─ snapshot ── compared ── end
 *                                    └──────────── tree against tree ──────┘
 */
import { Failure } from '../../errors.ts'
import type { BuildPool } from '../../intake/build-pool.ts'
import { timedId } from '../../repository/layout.ts'
import type { Manifest } from '../../repository/manifest.ts'
import type { Repository } from '../../repository/repository.ts'
import type { Source } from '../../source/contract.ts'
import { refuseUnknownNames } from '../certificate/refuse-unknown.ts'
import { type ExplainRules, NO_RULES } from '../certificate/rules.ts'
import { compareDatabase } from '../compare.ts'
import { readReport, reportIds, type SignedReport, writeReport } from '../report/signed-report.ts'
import { compareTables } from './compare-tables.ts'
import { findingsOf, judge } from './findings.ts'
import { goneTables } from './gone-tables.ts'
import { GUARD_BEGINS, GUARD_ENDS, type GuardBegin, type GuardEnd, type GuardSnapshot } from './guard-report.ts'

export interface GuardWorld {
  readonly repository: Repository
  readonly sourceName: string
  readonly organisation: string
  readonly actor: string
  /** Of the database as it is, by a layout without these tables, which it lost. Returns the snapshot's id. */
  readonly takeSnapshot: (gone: ReadonlySet<string>) => Promise<string>
  readonly source: Source
  /** False: the database is not read beside the snapshots, and the report says so. */
  readonly isCompared: boolean
  readonly rules: ExplainRules
  readonly pool: BuildPool
  readonly signal: AbortSignal
  readonly nowMs: () => number
  readonly random: (bytes: number) => Uint8Array
  readonly onProgress: (what: string) => void
}

/**
 * @throws bad-usage where a guard of the source is open; bad-configuration where a rule names what is not there;
 * source-…, store-…
 */
export async function beginGuard(world: GuardWorld, reason: string): Promise<SignedReport<GuardBegin>> {
  await refuseOpen(world)
  const { manifest, snapshot } = await look(world, new Set())
  refuseUnknownNames(world.rules, [manifest])
  const createdMs = world.nowMs()
  const id = timedId(createdMs, world.random(4))
  return await writeReport(world.repository, GUARD_BEGINS, {
    format: 1,
    id,
    number: `UG-${id}`,
    repositoryId: world.repository.id,
    sourceName: world.sourceName,
    organisation: world.organisation,
    createdAt: new Date(createdMs).toISOString(),
    actor: world.actor,
    reason,
    before: snapshot,
  })
}

/** @throws bad-usage where no guard is open; bad-configuration as above; repository-damaged, source-…, store-… */
export async function endGuard(world: GuardWorld): Promise<SignedReport<GuardEnd>> {
  const { repository, rules, signal } = world
  const begun = await openGuard(repository, world.sourceName)
  if (begun === null) throw noGuard(world.sourceName)
  const before = (await repository.readManifest(begun.report.before.snapshot)).manifest
  const after = await look(world, await goneTables(world.source, before))
  refuseUnknownNames(rules, [before, after.manifest])
  // What was closed is asked of the state before: a rule about what came later would find every record open.
  refuseUnknownNames({ ...NO_RULES, closed: rules.closed }, [before])
  const onTable = (table: string) => world.onProgress(table)
  const tables = await compareTables({ repository, before, after: after.manifest, rules, signal, onTable })
  const findings = findingsOf(tables, [begun.report.before, after.snapshot])
  return await writeReport(repository, GUARD_ENDS, {
    ...begun.report,
    beginSha256: begun.sha256,
    endedAt: new Date(world.nowMs()).toISOString(),
    after: after.snapshot,
    tables,
    schema: schemaChanges(before, after.manifest),
    findings,
    history: judge(findings),
  })
}

/** The guard of the source that was begun and not ended; null when there is none. @throws repository-damaged, store-… */
async function openGuard(repository: Repository, sourceName: string): Promise<SignedReport<GuardBegin> | null> {
  const ended = new Set(await reportIds(repository, GUARD_ENDS))
  for (const id of (await reportIds(repository, GUARD_BEGINS)).filter((each) => !ended.has(each)).toReversed()) {
    const begun = await readReport(repository, GUARD_BEGINS, id)
    if (begun.report.sourceName === sourceName) return begun
  }
  return null
}

async function refuseOpen({ repository, sourceName }: GuardWorld): Promise<void> {
  const open = await openGuard(repository, sourceName)
  if (open === null) return
  throw new Failure('bad-usage', `guard ${open.report.id} of ${sourceName} was begun and not ended`, {
    hints: ['End it with `chartkeep guard end`; two changes at once could not be told apart.'],
  })
}

function noGuard(sourceName: string): Failure {
  return new Failure('bad-usage', `no guard of ${sourceName} is open`, {
    hints: ['Begin one before the change, with `chartkeep guard begin --reason …`.'],
  })
}

async function look(
  world: GuardWorld,
  gone: ReadonlySet<string>,
): Promise<{ snapshot: GuardSnapshot; manifest: Manifest }> {
  const snapshotId = await world.takeSnapshot(gone)
  const { manifest, sha256 } = await world.repository.readManifest(snapshotId)
  const { proved, remark } = await prove(world, snapshotId)
  return {
    manifest,
    snapshot: {
      snapshot: manifest.snapshotId,
      manifestSha256: sha256,
      position: manifest.position.lsn,
      takenAt: manifest.position.sourceTime,
      mode: manifest.mode,
      tables: manifest.tables.length,
      rows: manifest.tables.reduce((sum, { rows }) => sum + rows.rows, 0),
      serverVersion: manifest.source.serverVersion,
      proved,
      remark,
    },
  }
}

async function prove(world: GuardWorld, snapshotId: string): Promise<Pick<GuardSnapshot, 'proved' | 'remark'>> {
  const { isCompared, source, repository, pool, signal, nowMs } = world
  if (!isCompared) return { proved: 'not-compared', remark: null }
  world.onProgress('comparing with the database')
  const request = { repository, source, snapshotId, expectSameHistory: true, pool, signal, nowMs }
  const { status, findings } = await compareDatabase(request)
  return { proved: status, remark: findings[0]?.message ?? null }
}

/** By object, as the definitions name it; rows are not looked at here. */
function schemaChanges(before: Manifest, after: Manifest): GuardEnd['schema'] {
  const [then, now] = [before, after].map(definitions)
  return {
    added: [...now!.keys()].filter((object) => !then!.has(object)).sort(),
    removed: [...then!.keys()].filter((object) => !now!.has(object)).sort(),
    changed: [...then!.keys()].filter((object) => now!.has(object) && now!.get(object) !== then!.get(object)).sort(),
  }
}

function definitions({ ddl }: Manifest): Map<string, string> {
  const found = new Map<string, string>()
  for (const { object, sql } of ddl.steps) found.set(object, `${found.get(object) ?? ''}${sql}\n`)
  return found
}
