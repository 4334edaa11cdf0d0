/**
 * What was written into production, kept in the repository before it is written: by it a change can be taken back, and
 * told apart in the change log from what the application did.
 */
import { z } from 'zod'
import { Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../../repository/canonical-json.ts'
import { CHANGESET_PREFIX, changesetKey, changesetOutcomeKey } from '../../repository/layout.ts'
import type { Repository } from '../../repository/repository.ts'
import { OBJECT_TYPES } from '../../repository/sealed-object.ts'
import type { ConnectionSettings } from '../../source/contract.ts'
import { settleOutcome } from '../../source/open.ts'
import { packLines, unpackLines } from './packed-lines.ts'

/** Edits of one kind: lines of the table's columns, as `packLines` has them. */
const editsSchema = z.strictObject({
  kind: z.enum(['insert', 'update', 'delete']),
  rows: z.int().positive(),
  present: z.string(),
  future: z.string(),
})

const changesetSchema = z.strictObject({
  changesetId: z.string(),
  planId: z.string(),
  planSha256: z.string(),
  sourceName: z.string(),
  /** A field of a line, latin1. */
  patient: z.string(),
  /** Of a merge that was taken back, and of what takes that back: the other one. */
  otherPatient: z.string().optional(),
  kind: z.enum(['restore', 'unmerge', 'undo']),
  requester: z.string(),
  executor: z.string(),
  authorisation: z.string(),
  startedAt: z.string(),
  snapshotId: z.string(),
  transaction: z.strictObject({
    id: z.string(),
    engine: z.enum(['postgresql', 'sqlserver']),
    systemId: z.string(),
    timeline: z.int(),
    databaseOid: z.string(),
  }),
  tables: z.array(
    z.strictObject({
      name: z.string(),
      category: z.string(),
      columns: z.array(z.string()),
      edits: z.array(editsSchema),
    }),
  ),
})

const writtenSchema = z.strictObject({ inserted: z.int(), updated: z.int(), deleted: z.int() })

const outcomeSchema = z.strictObject({
  changesetId: z.string(),
  outcome: z.literal('committed'),
  endedAt: z.string(),
  inserted: z.int().nonnegative(),
  updated: z.int().nonnegative(),
  deleted: z.int().nonnegative(),
  /** `table.column` and in how many rows triggers made something else of it, as the plan allowed. */
  triggered: z.record(z.string(), z.int().nonnegative()),
  /** By table, what triggers wrote beside the plan; null when the server does not count, or the agent died behind its COMMIT. */
  sideEffects: z.record(z.string(), writtenSchema).nullable(),
})

type StoredChangeset = z.infer<typeof changesetSchema>

export interface ChangesetEdit {
  readonly kind: 'insert' | 'update' | 'delete'
  readonly present: Buffer | null
  readonly future: Buffer | null
}

export interface ChangesetTable extends Omit<StoredChangeset['tables'][number], 'edits'> {
  readonly rows: readonly ChangesetEdit[]
}

export interface Changeset extends Omit<StoredChangeset, 'tables'> {
  readonly tables: readonly ChangesetTable[]
}

export type ChangesetOutcome = z.infer<typeof outcomeSchema>

/** Durable on return. */
export async function writeChangeset(repository: Repository, changeset: Changeset): Promise<void> {
  const stored = {
    ...changeset,
    tables: changeset.tables.map(({ rows, ...table }) => ({
      ...table,
      edits: KINDS.flatMap((kind) => edits(kind, rows)),
    })),
  }
  await repository.sealed.write(changesetKey(changeset.changesetId), OBJECT_TYPES.changeset, canonicalBytes(stored))
}

const KINDS = ['insert', 'update', 'delete'] as const

/** As `editsSchema` reads them. */
function edits(kind: ChangesetEdit['kind'], all: readonly ChangesetEdit[]) {
  const rows = all.filter((edit) => edit.kind === kind)
  if (rows.length === 0) return []
  const present = packLines(rows.map((edit) => edit.present))
  return [{ kind, rows: rows.length, present, future: packLines(rows.map(({ future }) => future)) }]
}

function tableOf({ edits: packed, ...table }: StoredChangeset['tables'][number], name: string): ChangesetTable {
  const rows = packed.flatMap(({ kind, rows: count, present, future }) => {
    const [before, after] = [present, future].map((lines) => unpackLines(lines, count, name))
    return before!.map((line, index) => ({ kind, present: line, future: after![index]! }))
  })
  return { ...table, rows }
}

export async function writeOutcome(repository: Repository, outcome: ChangesetOutcome): Promise<void> {
  await repository.sealed.write(changesetOutcomeKey(outcome.changesetId), OBJECT_TYPES.outcome, canonicalBytes(outcome))
}

/** @throws bad-usage when there is none of that id */
export async function readChangeset(repository: Repository, changesetId: string): Promise<Changeset> {
  const known = (await repository.sealed.names(CHANGESET_PREFIX)).includes(changesetKey(changesetId))
  if (!known) {
    throw new Failure('bad-usage', `no changeset ${changesetId} in this repository`, {
      hints: ['`chartkeep audit` lists what was applied.'],
    })
  }
  const name = changesetKey(changesetId)
  const parsed = changesetSchema.safeParse(
    parseCanonical(await repository.sealed.read(name, OBJECT_TYPES.changeset), name),
  )
  if (parsed.success) return { ...parsed.data, tables: parsed.data.tables.map((table) => tableOf(table, name)) }
  throw new Failure('repository-damaged', `object ${name} is not a changeset`, { context: { object: name } })
}

/**
 * As `readOutcome`; where nobody wrote it down, because the agent died behind its COMMIT, the database is asked.
 * @throws plan-refused when it was rolled back; outcome-unknown
 */
export async function establishOutcome(
  repository: Repository,
  changeset: Changeset,
  connection: ConnectionSettings,
  nowMs: number,
): Promise<ChangesetOutcome> {
  const { changesetId, transaction, tables } = changeset
  const known = await readOutcome(repository, changesetId)
  if (known) return known
  const outcome = await settleOutcome(connection, { id: transaction.id, identity: transaction })
  if (outcome !== 'committed') {
    const code = outcome === 'rolled back' ? 'plan-refused' : 'outcome-unknown'
    throw new Failure(code, `changeset ${changesetId} has no end that is known: its transaction is ${outcome}`, {
      hints: ['Make a plan for the patient: it shows what is there now.'],
      context: { changeset: changesetId, transaction: transaction.id },
    })
  }
  const rows = tables.flatMap((table) => table.rows)
  const count = (kind: 'insert' | 'update' | 'delete') => rows.filter((row) => row.kind === kind).length
  const [inserted, updated, deleted] = [count('insert'), count('update'), count('delete')]
  const endedAt = new Date(nowMs).toISOString()
  const counts = { inserted, updated, deleted }
  const established: ChangesetOutcome = { changesetId, outcome, endedAt, ...counts, triggered: {}, sideEffects: null }
  await writeOutcome(repository, established)
  return established
}

/** Null when nothing is known of its end: the agent died before it could write it down. */
export async function readOutcome(repository: Repository, changesetId: string): Promise<ChangesetOutcome | null> {
  const name = changesetOutcomeKey(changesetId)
  if (!(await repository.store.stat(name))) return null
  const parsed = outcomeSchema.safeParse(parseCanonical(await repository.sealed.read(name, OBJECT_TYPES.outcome), name))
  if (parsed.success) return parsed.data
  throw new Failure('repository-damaged', `object ${name} is not an outcome`, { context: { object: name } })
}
