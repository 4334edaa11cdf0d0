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
import type { Repository } from '../../repository/repository.ts'
import { agentKey, refused, type Signature, signAs, signatureSchema, verifySigned } from '../../repository/signers.ts'
import { encodeKey } from '../../repository/tree/key.ts'
import type { ReadPosition, SourceIdentity } from '../../source/contract.ts'
import type { LeftOut } from './closure.ts'
import { POLICIES, type RowAction, UNMERGE_POLICIES } from './plan.ts'
import { openValues, sealValues, type TableValues } from './plan-values.ts'
import { DIGEST_BYTES, RowDigests } from './row-digests.ts'
import { groupsOf } from './row-groups.ts'
import type { RowStatus } from './row-status.ts'

const PLAN_PURPOSE = 'chartkeep plan v1'
/** 2: rows in groups. */
const PLAN_FORMAT = 2

const count = z.int().nonnegative()

/** Rows that are alike, in the order of the sealed ones. */
const groupSchema = z.strictObject({
  status: z.enum(['missing', 'changed', 'moved', 'same', 'newer', 'conflicting']),
  action: z.enum(['insert', 'update', 'delete', 'none']),
  /** Of changed rows: which differ. */
  columns: z.array(z.string()),
  cause: z.string().nullable(),
  /** Of a merge that is taken back: the pseudonym of whose they will be, where that is another than now. */
  goesTo: z.string().optional(),
  rows: count,
  /** Base64: of each row 32 bytes, the keyed digest of its key, of what it is to be and of what it was found to be. */
  digests: z.base64(),
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
  /** Of the other one of a merge that is taken back. */
  otherPatient: z.string().optional(),
  moment: z.strictObject({ asked: z.string(), snapshotId: z.string(), lsn: z.string(), sourceTime: z.string() }),
  /** Where the live database stood. */
  lookedAt: z.strictObject({ lsn: z.string(), visible: z.string(), sourceTime: z.string() }),
  /** What it is: a restore under a policy, the taking back of a merge, or the undoing of a changeset. */
  kind: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('restore'), policy: z.enum(POLICIES) }),
    z.strictObject({ kind: z.literal('unmerge'), policy: z.enum(UNMERGE_POLICIES) }),
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
      /** Its rows of then are those of `moment.snapshotId`, which is older than the moment: why. */
      olderBecause: z.string().optional(),
      same: count,
      /** Without rows that are the same. */
      groups: z.array(groupSchema),
    }),
  ),
  /** Rows elsewhere that the patient's refer to. */
  needed: z.array(z.strictObject({ table: z.string(), rows: count, gone: count })),
  leftOut: z.array(z.strictObject({ table: z.string(), reason: z.string() })),
  /** Base64: see plan-values.ts. */
  sealed: z.base64(),
})

const signedPlanSchema = z.strictObject({ plan: z.unknown(), signature: signatureSchema })

export type PlanDocument = z.infer<typeof planSchema>
type Group = z.infer<typeof groupSchema>

/** What a document is made from. Lines are of `columns`, without newline. */
export interface PlanContent {
  readonly kind: PlanDocument['kind']
  readonly sourceName: string
  /** The patient's key, as a field of a line; of a merge, both. */
  readonly patients: readonly Buffer[]
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
  readonly olderBecause?: string
  readonly same: number
  readonly rows: readonly ContentRow[]
}

export interface ContentRow {
  readonly status: RowStatus
  readonly action: RowAction
  /** As `StoredRow.key`. */
  readonly key: string
  readonly past: Buffer | null
  readonly present: Buffer | null
  readonly changed: readonly string[]
  readonly cause: string | null
  /** The key of the patient whose it will be, where that is another than now. */
  readonly goesTo?: Buffer
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

export interface WrittenPlan {
  /** The file: canonical JSON. */
  readonly bytes: Uint8Array
  /** What `readPlan` makes of it. */
  readonly plan: ReadPlan
}

export async function writePlan(repository: Repository, content: PlanContent, facts: PlanFacts): Promise<WrittenPlan> {
  const inGroups = { ...content, tables: content.tables.map((table) => ({ ...table, groups: groupsOf(table.rows) })) }
  const document = planDocument(repository, inGroups, facts)
  const signed = canonicalBytes(document)
  const signature = signAs(agentKey(await repository.signers()), PLAN_PURPOSE, signed)
  const tables = inGroups.tables.map(({ groups }, index) => {
    const { groups: documents, ...table } = document.tables[index]!
    return { ...table, rows: groups.flatMap((rows, group) => rows.map((row) => planRow(row, documents[group]!))) }
  })
  const sha256 = createHash('sha256').update(signed).digest('hex')
  return { bytes: planFile(signed, signature), plan: { document, patients: content.patients, tables, sha256 } }
}

function planRow({ past, present }: ContentRow, { status, action, columns, cause, goesTo }: Group): PlanRow {
  return { status, action, columns, cause, ...(goesTo !== undefined && { goesTo }), past, present }
}

/** Pseudonyms of those whose records it is about: one, or the two of a merge. */
export function subjectsOf({ patient, otherPatient }: Pick<PlanDocument, 'patient' | 'otherPatient'>): string[] {
  return otherPatient === undefined ? [patient] : [patient, otherPatient]
}

/** `{"plan":…,"signature":…}`: megabytes that have their spelling are not spelt again. */
function planFile(signed: Uint8Array, signature: Signature): Uint8Array {
  const behind = Buffer.concat([Buffer.from(',"signature":'), canonicalBytes(signature), Buffer.from('}')])
  return Buffer.concat([Buffer.from('{"plan":'), signed, behind])
}

/** A row that differs. */
export interface PlanRow extends Pick<Group, 'status' | 'action' | 'cause' | 'goesTo'> {
  readonly columns: readonly string[]
  /** Lines of the table's `columns`, without newline; null where there is no row. */
  readonly past: Buffer | null
  readonly present: Buffer | null
}

export interface PlanTable extends Omit<PlanDocument['tables'][number], 'groups'> {
  readonly rows: readonly PlanRow[]
}

export interface ReadPlan {
  /** What was signed: without a value. */
  readonly document: PlanDocument
  /** The patient's key, as a field of a line; of a merge, both. */
  readonly patients: readonly Buffer[]
  readonly tables: readonly PlanTable[]
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
  return { document, ...openedPart(repository, document), sha256 }
}

/** What the digest is of. */
export function planBytes({ document }: Pick<ReadPlan, 'document'>): Uint8Array {
  return canonicalBytes(document)
}

/** With its rows in groups. */
interface GroupedContent extends PlanContent {
  readonly tables: readonly (ContentTable & { readonly groups: readonly (readonly ContentRow[])[] })[]
}

function planDocument(repository: Repository, content: GroupedContent, facts: PlanFacts): PlanDocument {
  const digests = new RowDigests(repository.keyring.secrets.saltKey)
  const { engine, systemId, databaseOid, databaseName } = facts.target
  const { lsn, visible, sourceTime } = facts.lookedAt
  const pseudonymOf = (key: Buffer) => repository.keyring.pseudonym(encodeKey([key]))
  const [patient, otherPatient] = content.patients
  return {
    format: PLAN_FORMAT,
    planId: facts.planId,
    repositoryId: repository.id,
    sourceName: content.sourceName,
    target: { engine, systemId, databaseOid, databaseName },
    patient: pseudonymOf(patient!),
    ...(otherPatient && { otherPatient: pseudonymOf(otherPatient) }),
    moment: { asked: facts.asked, ...content.moment },
    lookedAt: { lsn, visible, sourceTime },
    kind: content.kind,
    requester: facts.requester,
    createdAt: new Date(facts.createdMs).toISOString(),
    expiresAt: new Date(facts.expiresMs).toISOString(),
    tables: content.tables.map(({ groups, columns, columnsLost, columnsNew, olderBecause, name, category, same }) => ({
      name,
      category,
      columns: [...columns],
      columnsLost: [...columnsLost],
      columnsNew: [...columnsNew],
      ...(olderBecause !== undefined && { olderBecause }),
      same,
      groups: groups.map((group) => groupDocument(digests, name, group, pseudonymOf)),
    })),
    needed: content.needed,
    leftOut: content.leftOut.map((left) => ({ ...left })),
    sealed: sealValues(repository, { patients: content.patients, tables: content.tables.map(linesOf) }, facts),
  }
}

function groupDocument(
  digests: RowDigests,
  table: string,
  rows: readonly ContentRow[],
  pseudonymOf: (key: Buffer) => string,
): Group {
  const { status, action, changed, cause, goesTo } = rows[0]!
  const all = digests.of(table, rows).toString('base64')
  const whose = goesTo && { goesTo: pseudonymOf(goesTo) }
  return { status, action, columns: [...changed], cause, ...whose, rows: rows.length, digests: all }
}

function linesOf({ groups }: { readonly groups: readonly (readonly ContentRow[])[] }): TableValues {
  const rows = groups.flat()
  return { past: rows.map(({ past }) => past), present: rows.map(({ present }) => present) }
}

/** @throws bad-usage when the sealed part is of another plan's shape */
function openedPart(
  repository: Repository,
  { planId, sealed, tables }: PlanDocument,
): Pick<ReadPlan, 'patients' | 'tables'> {
  const rowCounts = tables.map(({ groups }) => groups.reduce((sum, { rows }) => sum + rows, 0))
  const values = openValues(repository, { planId, sealed, rowCounts })
  if (!values) throw notAPlan()
  return { patients: values.patients, tables: tables.map((table, index) => planTable(table, values.tables[index]!)) }
}

function planTable({ groups, ...table }: PlanDocument['tables'][number], { past, present }: TableValues): PlanTable {
  if (groups.some(({ rows, digests }) => Buffer.from(digests, 'base64').length !== rows * DIGEST_BYTES))
    throw notAPlan()
  let at = 0
  const rows = groups.flatMap(({ status, action, columns, cause, goesTo, rows: wanted }) =>
    Array.from({ length: wanted }, (): PlanRow => {
      const whose = goesTo !== undefined && { goesTo }
      const row = { status, action, columns, cause, ...whose, past: past[at]!, present: present[at]! }
      at += 1
      return row
    }),
  )
  return { ...table, rows }
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
