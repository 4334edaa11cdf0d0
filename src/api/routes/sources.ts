import { z } from '@hono/zod-openapi'
import { recoveryWindow, SnapshotSummaries } from '../../backup/recovery-window.ts'
import { protectionStatus } from '../../backup/status.ts'
import type { Configuration, SourceConfiguration } from '../../config.ts'
import { Failure } from '../../errors.ts'
import { sourceConnection } from '../../secrets.ts'
import { openSource } from '../../source/open.ts'
import type { ApiDependencies } from '../dependencies.ts'
import { Shared } from '../gate.ts'
import { ANYBODY, define, type Routes } from '../route.ts'
import { limitQuery, sourceParam, timedIdSchema } from '../schemas.ts'

const text = z.string()
const count = z.number()

const sourceSchema = z
  .object({ name: text, hasPatients: z.boolean(), mayBeWritten: z.boolean(), excluded: z.array(text) })
  .openapi('Source')

const summarySchema = z
  .object({
    snapshot: text,
    source: text,
    time: text,
    position: text,
    mode: text,
    tables: count,
    rows: count,
    bytesStored: count,
    log: text.nullable(),
  })
  .openapi('Snapshot')

const windowSchema = z
  .object({
    source: text,
    oldest: summarySchema.nullable(),
    newest: summarySchema.nullable(),
    snapshots: count,
    stretches: z.array(z.object({ log: text, from: text, to: text.nullable() })).readonly(),
    unreadable: z.array(z.object({ snapshot: text, code: text })).readonly(),
  })
  .openapi('RecoveryWindow')

const notHeld = z.array(z.object({ kind: text, name: text, reason: text })).readonly()
const manifestSchema = z
  .object({
    sha256: text,
    summary: summarySchema,
    tables: z
      .array(z.object({ name: text, category: text, rows: count, textBytes: count, root: text, resolution: text }))
      .readonly(),
    notCaptured: notHeld,
  })
  .openapi('SnapshotContent')

const statusSchema = z
  .object({
    source: text,
    at: text,
    snapshot: z
      .object({ snapshot: text, mode: text, position: text, takenAt: text, ageSeconds: count, carriesOn: z.boolean() })
      .nullable(),
    log: z
      .object({
        logId: text,
        segments: count,
        end: text,
        keptUntil: text.nullable(),
        ageSeconds: count.nullable(),
        lastCommit: text.nullable(),
      })
      .nullable(),
    capture: z.object({ holder: text, renewedAt: text }).nullable(),
    slot: z
      .object({
        slot: text,
        active: z.boolean(),
        walStatus: text,
        retainedBytes: count,
        limitBytes: count.nullable(),
        catalogXminAge: count,
        lagBytes: count,
      })
      .nullable(),
    protectedUntil: text.nullable(),
    protectedAgeSeconds: count.nullable(),
    coarse: z.array(z.object({ table: text, reason: text, remedySql: text.nullable() })).readonly(),
    closed: z.array(z.object({ table: text, reason: text, from: text })).readonly(),
    gaps: z.array(z.object({ from: text.nullable(), to: text, begunAt: text, reason: text })).readonly(),
    lostTail: z.object({ log: text, slot: text, from: text, to: text }).nullable(),
    notAsked: z.array(text).readonly(),
  })
  .openapi('ProtectionStatus')

/** Hundreds may ask; the database is asked once in a while. */
const LOOK_LIFE_MS = 2_000
const TAG = 'sources'

/** @throws not-found */
export function configuredSource({ sources }: Configuration, name: string): SourceConfiguration {
  const found = sources.find((source) => source.name === name)
  if (found) return found
  throw new Failure('not-found', 'no source of this name is configured', { hints: ['GET /v1/sources lists them.'] })
}

export function registerSources(routes: Routes, dependencies: ApiDependencies): void {
  const { configuration, repository, nowMs } = dependencies
  const summaries = new SnapshotSummaries(repository)
  const statuses = new Shared<z.infer<typeof statusSchema>>(LOOK_LIFE_MS, nowMs)
  const windows = new Shared<z.infer<typeof windowSchema>>(LOOK_LIFE_MS, nowMs)

  define(
    routes,
    {
      method: 'get',
      path: '/v1/sources',
      summary: 'the databases that are protected',
      tag: TAG,
      roles: ANYBODY,
      result: z.object({ sources: z.array(sourceSchema) }),
    },
    async () => ({
      sources: configuration.sources.map(({ name, patient, writer, exclude }) => ({
        name,
        hasPatients: patient !== null,
        mayBeWritten: writer !== null,
        excluded: [...exclude],
      })),
    }),
  )

  define(
    routes,
    {
      method: 'get',
      path: '/v1/sources/{source}/status',
      summary: 'how well a source is protected now',
      tag: TAG,
      roles: ANYBODY,
      params: sourceParam,
      result: statusSchema,
    },
    async ({ params }) => {
      const configured = configuredSource(configuration, params.source)
      return await statuses.get(configured.name, () => lookAt(dependencies, configured))
    },
  )

  define(
    routes,
    {
      method: 'get',
      path: '/v1/sources/{source}/recovery-window',
      summary: 'which moments could be restored',
      tag: TAG,
      roles: ANYBODY,
      params: sourceParam,
      result: windowSchema,
    },
    async ({ params }) => {
      const { name } = configuredSource(configuration, params.source)
      return await windows.get(name, () => recoveryWindow(repository, summaries, name))
    },
  )

  define(
    routes,
    {
      method: 'get',
      path: '/v1/sources/{source}/snapshots',
      summary: 'the snapshots of a source, newest first',
      tag: TAG,
      roles: ANYBODY,
      params: sourceParam,
      query: z.object({ limit: limitQuery(100, 1000), before: timedIdSchema.optional() }),
      result: z.object({ snapshots: z.array(summarySchema), unreadable: windowSchema.shape.unreadable }),
    },
    async ({ params, query }) => {
      const found = await summaries.of(configuredSource(configuration, params.source).name)
      const older = found.summaries.filter(({ snapshot }) => query.before === undefined || snapshot < query.before)
      return { snapshots: older.toReversed().slice(0, query.limit), unreadable: found.unreadable }
    },
  )

  define(
    routes,
    {
      method: 'get',
      path: '/v1/snapshots/{snapshot}',
      summary: 'what one snapshot holds, and what it does not',
      tag: TAG,
      roles: ANYBODY,
      params: z.object({ snapshot: timedIdSchema }),
      result: manifestSchema,
    },
    async ({ params }) => {
      const { manifest, sha256 } = await repository.readManifest(params.snapshot)
      const held = [...manifest.notCaptured, ...manifest.ddl.notCarried]
      return {
        sha256,
        summary: await summaries.one(params.snapshot),
        tables: manifest.tables.map(({ name, category, rows, resolution }) => ({
          name,
          category,
          rows: rows.rows,
          textBytes: rows.textBytes,
          root: rows.digest,
          resolution: resolution ?? 'snapshot',
        })),
        notCaptured: held.map(({ kind, name, reason }) => ({ kind, name, reason })),
      }
    },
  )
}

async function lookAt({ repository, world, nowMs }: ApiDependencies, configured: SourceConfiguration) {
  return await protectionStatus({
    repository,
    sourceName: configured.name,
    layout: configured,
    openSource: async () => await openSource(await sourceConnection(configured, world)),
    nowMs,
  })
}
