/**
 * A plan as a file: what is approved, and what is applied, is this document's digest and no other.
 *
 * It can be read by everybody who may see that something is planned: tables, counts, statuses and columns stand open,
 * patients and rows as keyed digests (HMAC under the repository, so that nobody can search them for values). Keys and
 * values are in one sealed part, which only an open repository reads.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../../repository/canonical-json.ts'
import { deriveKey } from '../../repository/crypto/provider.ts'
import type { Repository } from '../../repository/repository.ts'
import { OBJECT_TYPES, openObject, sealObject } from '../../repository/sealed-object.ts'
import { agentKey, refused, signAs, signatureSchema, verifySigned } from '../../repository/signers.ts'
import { HmacSha256 } from '../../repository/tree/hmac.ts'
import { encodeKey } from '../../repository/tree/key.ts'
import type { ReadPosition, SourceIdentity } from '../../source/contract.ts'
import type { LeftOut } from './closure.ts'
import { POLICIES, type RowAction } from './plan.ts'
import type { RowStatus } from './row-status.ts'

export const PLAN_PURPOSE = 'chartkeep plan v1'
const PLAN_FORMAT = 1

const count = z.int().nonnegative()
const digestSchema = z.string().regex(/^[0-9a-f]{64}$/)

const rowSchema = z.strictObject({
  /** Keyed digest of table and primary key. */
  id: digestSchema,
  status: z.enum(['missing', 'changed', 'same', 'newer', 'conflicting']),
  action: z.enum(['insert', 'update', 'delete', 'none']),
  /** Keyed digests of the row as it is to be, and as it was found; null where there is none. */
  past: digestSchema.nullable(),
  present: digestSchema.nullable(),
  columns: z.array(z.string()),
  cause: z.string().nullable(),
})

const planSchema = z.strictObject({
  format: z.literal(PLAN_FORMAT),
  planId: z.string(),
  repositoryId: z.string(),
  sourceName: z.string(),
  /** The database that it was made against, and may be applied to (F19). */
  target: z.strictObject({
    engine: z.string(),
    systemId: z.string(),
    databaseOid: z.string(),
    databaseName: z.string(),
  }),
  /** Pseudonym. */
  patient: z.string(),
  moment: z.strictObject({ asked: z.string(), snapshotId: z.string(), lsn: z.string(), sourceTime: z.string() }),
  /** Where the live database stood. */
  lookedAt: z.strictObject({ lsn: z.string(), visible: z.string(), sourceTime: z.string() }),
  /** What it is: a restore under a policy, or the undoing of a changeset. */
  kind: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('restore'), policy: z.enum(POLICIES) }),
    z.strictObject({ kind: z.literal('undo'), changesetId: z.string() }),
  ]),
  requester: z.string(),
  createdAt: z.string(),
  expiresAt: z.string(),
  tables: z.array(
    z.strictObject({
      name: z.string(),
      category: z.string(),
      /** The fields of the sealed lines. */
      columns: z.array(z.string()),
      columnsLost: z.array(z.string()),
      columnsNew: z.array(z.string()),
      same: count,
      /** Without those that are the same. */
      rows: z.array(rowSchema),
    }),
  ),
  /** Rows elsewhere that the patient's refer to. */
  needed: z.array(z.strictObject({ table: z.string(), rows: count, gone: count })),
  leftOut: z.array(z.strictObject({ table: z.string(), reason: z.string() })),
  /** Base64: see `planValuesSchema`. */
  sealed: z.base64(),
})

/** Lines of the rows that differ, table by table in the plan's order, latin1. */
const planValuesSchema = z.strictObject({
  patient: z.string(),
  rows: z.array(z.array(z.strictObject({ past: z.string().nullable(), present: z.string().nullable() }))),
})

const signedPlanSchema = z.strictObject({ plan: z.unknown(), signature: signatureSchema })

export type PlanDocument = z.infer<typeof planSchema>
export type PlanValues = z.infer<typeof planValuesSchema>

/** What a document is made from. Lines are of `columns`, without newline. */
export interface PlanContent {
  readonly kind: PlanDocument['kind']
  readonly sourceName: string
  /** The patient's key, as a field of a line. */
  readonly patient: Buffer
  readonly moment: Omit<PlanDocument['moment'], 'asked'>
  readonly tables: readonly ContentTable[]
  readonly needed: PlanDocument['needed']
  readonly leftOut: readonly LeftOut[]
}

export interface ContentTable {
  readonly name: string
  readonly category: string
  readonly columns: readonly string[]
  readonly columnsLost: readonly string[]
  readonly columnsNew: readonly string[]
  readonly same: number
  readonly rows: readonly ContentRow[]
}

export interface ContentRow {
  readonly status: RowStatus
  readonly action: RowAction
  /** Latin1 of the encoded primary key; of a table without one, of the line. */
  readonly key: string
  readonly past: Buffer | null
  readonly present: Buffer | null
  readonly changed: readonly string[]
  readonly cause: string | null
}

export interface PlanFacts {
  readonly planId: string
  readonly asked: string
  readonly target: SourceIdentity
  readonly lookedAt: ReadPosition
  readonly requester: string
  readonly createdMs: number
  readonly expiresMs: number
  /** 16 random bytes. */
  readonly salt: Uint8Array
}

/** @returns the file's bytes: canonical JSON */
export async function writePlan(repository: Repository, content: PlanContent, facts: PlanFacts): Promise<Uint8Array> {
  const document = planDocument(repository, content, facts)
  const bytes = canonicalBytes(document)
  const signature = signAs(agentKey(await repository.signers()), PLAN_PURPOSE, bytes)
  return canonicalBytes({ plan: document, signature })
}

export interface ReadPlan {
  readonly document: PlanDocument
  readonly values: PlanValues
  /** SHA-256 of the plan's canonical JSON, hex: what an approver signs. */
  readonly sha256: string
}

/**
 * That an agent of this repository made it, and what it holds.
 * @throws bad-usage, signature-refused, repository-damaged
 */
export async function readPlan(repository: Repository, file: Uint8Array): Promise<ReadPlan> {
  const signed = signedPlanSchema.safeParse(parsedFile(file))
  const plan = planSchema.safeParse(signed.data?.plan)
  if (!signed.success || !plan.success) throw notAPlan()
  const document = plan.data
  if (document.repositoryId !== repository.id) {
    throw new Failure('bad-usage', `the plan is of repository ${document.repositoryId}, this one is ${repository.id}`)
  }
  const bytes = canonicalBytes(document)
  const thing = { what: `plan ${document.planId}`, purpose: PLAN_PURPOSE, bytes, role: 'agent' } as const
  const signer = verifySigned(await repository.signers(), { ...thing, signature: signed.data.signature })
  if (signer.revocation) throw refused(thing.what, `is signed by key ${signer.signerId}, which was revoked`)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { document, values: openValues(repository, document), sha256 }
}

/** Keyed digests of rows and keys: the same for a plan, its changeset and its undo. */
export class RowDigests {
  readonly #hmac: HmacSha256

  constructor(saltKey: Uint8Array) {
    this.#hmac = new HmacSha256(deriveKey(saltKey, new Uint8Array(), 'chartkeep plan rows v1'))
  }

  line(table: string, line: Uint8Array): string {
    return Buffer.from(this.#hmac.digest(Buffer.from(`row ${table}\n`), line)).toString('hex')
  }

  key(table: string, key: string): string {
    return Buffer.from(this.#hmac.digest(Buffer.from(`key ${table}\n`), Buffer.from(key, 'latin1'))).toString('hex')
  }
}

function planDocument(repository: Repository, content: PlanContent, facts: PlanFacts): PlanDocument {
  const digests = new RowDigests(repository.keyring.secrets.saltKey)
  const { engine, systemId, databaseOid, databaseName } = facts.target
  const { lsn, visible, sourceTime } = facts.lookedAt
  return {
    format: PLAN_FORMAT,
    planId: facts.planId,
    repositoryId: repository.id,
    sourceName: content.sourceName,
    target: { engine, systemId, databaseOid, databaseName },
    patient: repository.keyring.pseudonym(encodeKey([content.patient])),
    moment: { asked: facts.asked, ...content.moment },
    lookedAt: { lsn, visible, sourceTime },
    kind: content.kind,
    requester: facts.requester,
    createdAt: new Date(facts.createdMs).toISOString(),
    expiresAt: new Date(facts.expiresMs).toISOString(),
    tables: content.tables.map(({ rows, columns, columnsLost, columnsNew, name, category, same }) => ({
      name,
      category,
      columns: [...columns],
      columnsLost: [...columnsLost],
      columnsNew: [...columnsNew],
      same,
      rows: rows.map((row) => rowDocument(digests, name, row)),
    })),
    needed: content.needed,
    leftOut: content.leftOut.map((left) => ({ ...left })),
    sealed: sealValues(repository, content, facts),
  }
}

function rowDocument(digests: RowDigests, table: string, row: ContentRow): z.infer<typeof rowSchema> {
  const digestOf = (line: Buffer | null) => (line ? digests.line(table, line) : null)
  const { status, action, key, past, present, changed, cause } = row
  const id = digests.key(table, key)
  return { id, status, action, past: digestOf(past), present: digestOf(present), columns: [...changed], cause }
}

function sealValues(repository: Repository, content: PlanContent, { planId, salt }: PlanFacts): string {
  const text = (line: Buffer | null) => line?.toString('latin1') ?? null
  const values: PlanValues = {
    patient: content.patient.toString('latin1'),
    rows: content.tables.map(({ rows }) =>
      rows.map(({ past, present }) => ({ past: text(past), present: text(present) })),
    ),
  }
  const request = { type: OBJECT_TYPES.plan, name: sealedName(planId), key: repository.keyring.currentDataKey, salt }
  return Buffer.from(sealObject(canonicalBytes(values), request)).toString('base64')
}

function openValues(repository: Repository, { planId, sealed, tables }: PlanDocument): PlanValues {
  const name = sealedName(planId)
  const bytes = openObject(Buffer.from(sealed, 'base64'), { type: OBJECT_TYPES.plan, name }, repository.keyring.dataKey)
  const values = planValuesSchema.safeParse(parseCanonical(bytes, name))
  const fits = values.success && values.data.rows.length === tables.length
  if (!fits || values.data.rows.some((rows, index) => rows.length !== tables[index]!.rows.length)) throw notAPlan()
  return values.data
}

function sealedName(planId: string): string {
  return `plans/${planId}`
}

function parsedFile(file: Uint8Array): unknown {
  try {
    return parseCanonical(file, 'the plan')
  } catch {
    throw notAPlan()
  }
}

function notAPlan(): Failure {
  return new Failure('bad-usage', 'the file is not a plan of this version, or was changed', {
    hints: ['Make a new one with `chartkeep restore patient ID --at T --plan FILE`.'],
  })
}
