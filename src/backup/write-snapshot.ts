/** The last part of every snapshot, however its trees came about: packs, index, manifest, ledger, in this order (I1). */
import { randomBytes } from 'node:crypto'
import type { PatientLayout } from '../intake/table-plan.ts'
import { indexKey, manifestKey, timedIdAfter } from '../repository/layout.ts'
import { FORMAT_VERSION, type Manifest, type TableManifest } from '../repository/manifest.ts'
import type { ReadManifest } from '../repository/repository.ts'
import type { ReadPosition, SchemaDdl, SchemaInfo, SourceIdentity } from '../source/contract.ts'
import { tool } from '../tool.ts'
import type { AdoptedPacks } from './adopt-packs.ts'
import { confirmPacks, confirmRead } from './confirm-stored.ts'
import type { LogPlace } from './log-place.ts'
import { logSnapshot } from './log-snapshot.ts'
import type { SnapshotMode } from './previous.ts'
import type { SnapshotRequest } from './snapshot.ts'
import type { SnapshotRun } from './snapshot-run.ts'
import { notYetRead } from './tables-since.ts'

/** What one way of taking a snapshot has found out. */
export interface Gathered {
  readonly identity: SourceIdentity
  readonly position: ReadPosition
  readonly mode: SnapshotMode
  readonly modeReason: string
  readonly tables: readonly TableManifest[]
  readonly schema: Pick<SchemaInfo, 'sequences' | 'notCaptured'>
  readonly ddl: SchemaDdl
  readonly log: LogPlace | null
  readonly bytesRead: number
  /** Tables that came under their names after the look at the schema. */
  readonly madeMeanwhile: readonly string[]
  /** Transactions and changes that were folded. */
  readonly folded: { readonly transactions: number; readonly changes: number } | null
}

export interface WriteParts {
  readonly run: SnapshotRun
  readonly adopted: AdoptedPacks
  readonly snapshotIds: readonly string[]
  readonly latest: ReadManifest | null
  readonly startedMs: number
  /** Asked right before the snapshot appears. @throws lease-lost */
  readonly assertHeld: () => void
}

/** Durable on return. @throws store-…, lease-lost */
export async function writeSnapshot(
  request: SnapshotRequest,
  parts: WriteParts,
  gathered: Gathered,
): Promise<Manifest> {
  const { repository, layout } = request
  const { run, adopted, latest, startedMs, snapshotIds } = parts
  const written = await run.flush()
  const packs = [...written, ...adopted.packsUsed]
  await confirmPacks(repository.store, packs)

  const snapshotId = timedIdAfter(latest?.manifest.snapshotId ?? null, startedMs, randomBytes(4))
  const indexSha256 = await repository.writeIndex({ format: 1, snapshotId, packs })
  const { ddl, schema, position, mode, modeReason, log, bytesRead } = gathered
  const known = new Set([...gathered.tables.map(({ name }) => name), ...layout.exclude])
  const manifest: Manifest = {
    format: FORMAT_VERSION,
    snapshotId,
    repositoryId: repository.id,
    sourceName: request.sourceName,
    source: gathered.identity,
    ...{ position, mode, modeReason },
    patient: layout.patient ? { ...layout.patient, label: [...layout.patient.label] } : null,
    tables: [...gathered.tables],
    links: layout.links.map((link) => ({ ...link })),
    sequences: [...schema.sequences],
    ddl: { origin: ddl.origin, steps: [...ddl.steps], notCarried: [...ddl.notCarried] },
    notCaptured: [...schema.notCaptured, ...excluded(layout), ...notYetRead(gathered.madeMeanwhile, known)],
    indexSha256,
    log,
    previous: latest ? { snapshotId: latest.manifest.snapshotId, sha256: latest.sha256 } : null,
    tool,
    run: {
      startedAt: new Date(startedMs).toISOString(),
      endedAt: new Date(request.nowMs()).toISOString(),
      bytesRead,
      bytesStored: written.reduce((sum, pack) => sum + pack.bytes, 0),
      leavesStored: run.leavesStored,
      leavesReused: run.leavesReused,
    },
  }
  await confirmRead(indexKey(snapshotId), () => repository.readIndex(manifest))
  parts.assertHeld()
  const sha256 = await repository.writeManifest(manifest)
  await confirmRead(manifestKey(snapshotId), () => repository.readManifest(snapshotId))
  await logSnapshot(repository, { snapshotIds, written: { snapshotId, sha256 }, nowMs: request.nowMs })
  return manifest
}

function excluded(layout: PatientLayout): Manifest['notCaptured'] {
  return [...layout.exclude].map((name) => ({ kind: 'table', name, reason: 'excluded by the configuration' }))
}
