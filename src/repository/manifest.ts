/**
 * What a snapshot is: canonical JSON (RFC 8785), sealed. A snapshot exists once its manifest is durable; everything it
 * names was durable before (I1).
 *
 * Members that this version does not know are kept and passed over: a later version may add what somebody who only
 * wants the rows can do without (docs/FORMAT.md, "What may change"). What he cannot do without raises `format`.
 */
import { z } from 'zod'
import { Failure } from '../errors.ts'
import { treeRootSchema } from './tree/tree-root-schema.ts'

export const FORMAT_VERSION = 1

const count = z.int().nonnegative()

const notCapturedSchema = z.looseObject({
  kind: z.string(),
  name: z.string(),
  reason: z.string(),
  count: count.exactOptional(),
})

const columnSchema = z.looseObject({ name: z.string(), type: z.string(), notNull: z.boolean() })

const tableManifestSchema = z.looseObject({
  name: z.string(),
  sqlName: z.string(),
  oid: z.string(),
  category: z.string(),
  /** Topmost partitioned table this is a leaf of, or null. */
  partitionOf: z.string().nullable(),
  columns: z.array(columnSchema),
  primaryKey: z.array(z.string()),
  /** The column that leads to the patient, or null. */
  anchor: z.string().nullable(),
  /** From the anchor to the patient: `table.column` each step. Empty without anchor. */
  anchorPath: z.array(z.string()),
  rows: treeRootSchema,
  locator: treeRootSchema.nullable(),
  /** What its rows refer to, as the database declares it. Absent in manifests of earlier versions. */
  foreignKeys: z
    .array(
      z.looseObject({
        name: z.string(),
        columns: z.array(z.string()),
        /** A table, or a partitioned table by its own name. */
        references: z.string(),
        referencedColumns: z.array(z.string()),
      }),
    )
    .exactOptional(),
  /** `transaction`: its past can be told to the transaction, from this snapshot on. Absent: `snapshot`. */
  resolution: z.enum(['transaction', 'snapshot']).exactOptional(),
  /** Why not `transaction`. */
  resolutionReason: z.string().nullable().exactOptional(),
  /** How its rows came into this snapshot: `read`, or `folded` from the previous snapshot and what changed since. */
  taken: z.enum(['read', 'folded']).exactOptional(),
  /** From where a later read of the same source can tell its net changes. Understood by that kind of source alone. */
  netMark: z.string().exactOptional(),
  /** Of a table with `netMark`: the position's time of the last snapshot for which its rows were all read. */
  readAt: z.string().exactOptional(),
  /** The changes since the previous snapshot of this log, as a tree of their own (docs/FORMAT.md, "Changes"). */
  changes: treeRootSchema.nullable().exactOptional(),
})

/** Where a snapshot stands in the change log. */
const logPlaceSchema = z.looseObject({
  logId: z.string(),
  /** Every transaction that commits before `scanFrom` is in the snapshot; behind it, its visibility decides (P3). */
  scanFrom: z.string(),
  /** The segment in which `scanFrom` lies, or the one that will begin there. */
  scanSegment: count,
  /** The newest segment that was durable when the snapshot was taken, or null before the first. */
  head: z.looseObject({ segment: count, sha256: z.string(), end: z.string() }).nullable(),
  /** The transactions since the previous snapshot of this log, as a tree; null when there is no such snapshot. */
  transactions: treeRootSchema.nullable(),
})

const sequenceSchema = z.looseObject({
  name: z.string(),
  sqlName: z.string(),
  lastValue: z.string(),
  isCalled: z.boolean(),
})

const ddlSchema = z.looseObject({
  origin: z.string(),
  steps: z.array(
    z.looseObject({
      phase: z.enum(['before-rows', 'key-or-index', 'attach', 'foreign-key', 'after']),
      object: z.string(),
      sql: z.string(),
    }),
  ),
  notCarried: z.array(notCapturedSchema),
})

export const manifestSchema = z.looseObject({
  format: z.literal(FORMAT_VERSION),
  snapshotId: z.string(),
  repositoryId: z.string(),
  sourceName: z.string(),
  source: z.looseObject({
    engine: z.enum(['postgresql', 'sqlserver']),
    systemId: z.string(),
    timeline: count,
    databaseOid: z.string(),
    databaseName: z.string(),
    serverVersion: z.string(),
    serverVersionNumber: count,
    encoding: z.string(),
  }),
  position: z.looseObject({ lsn: z.string(), visible: z.string(), sourceTime: z.string() }),
  /** How it was made, and why so. */
  mode: z.enum(['base', 'full-read', 'incremental']),
  modeReason: z.string(),
  /** The table whose key every anchor leads to; null when the database knows no patients. */
  patient: z.looseObject({ table: z.string(), key: z.string(), label: z.array(z.string()) }).nullable(),
  tables: z.array(tableManifestSchema),
  /** References that the database does not declare and the configuration does. */
  links: z
    .array(
      z.looseObject({
        table: z.string(),
        column: z.string(),
        referencedTable: z.string(),
        referencedColumn: z.string(),
      }),
    )
    .exactOptional(),
  sequences: z.array(sequenceSchema),
  ddl: ddlSchema,
  notCaptured: z.array(notCapturedSchema),
  /** SHA-256 of the index object, hex. */
  indexSha256: z.string(),
  /** Absent or null: nothing carries on from this snapshot but the next full read. */
  log: logPlaceSchema.nullable().exactOptional(),
  /** The manifest before this one, of any source, or null for the first; and SHA-256 of its canonical JSON. */
  previous: z.looseObject({ snapshotId: z.string(), sha256: z.string() }).nullable(),
  tool: z.looseObject({ name: z.string(), version: z.string(), node: z.string() }),
  run: z.looseObject({
    startedAt: z.string(),
    endedAt: z.string(),
    bytesRead: count,
    bytesStored: count,
    leavesStored: count,
    leavesReused: count,
  }),
})

/** What this version knows of it: without the index signatures that stand for members of later versions. */
type Known<T> = T extends readonly (infer Item)[]
  ? Known<Item>[]
  : T extends object
    ? { [Name in keyof T as string extends Name ? never : Name]: Known<T[Name]> }
    : T

export type Manifest = Known<z.infer<typeof manifestSchema>>
export type TableManifest = Known<z.infer<typeof tableManifestSchema>>

/** @throws repository-format, repository-damaged */
export function parseManifest(value: unknown, name: string): Manifest {
  const format = typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined
  if (typeof format === 'number' && format > FORMAT_VERSION) {
    throw new Failure('repository-format', `${name} has format ${format}, this version reads ${FORMAT_VERSION}`, {
      hints: ['Use the version of chartkeep that wrote this snapshot, or a later one.'],
    })
  }
  const parsed = manifestSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const path = parsed.error.issues[0]?.path.join('.') ?? ''
  throw new Failure('repository-damaged', `${name} is not a manifest: wrong at ${path}`, { context: { object: name } })
}
