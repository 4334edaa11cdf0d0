/**
 * Looks at everything that a source's protection hangs on, and changes nothing: no object is written, no row, no setting.
 *
 *     looks (database, repository, keys, configuration, machine) ─→ observations ─→ checks ─→ findings, worst first
 *
 * A look that fails makes its topics inconclusive, and no other look waits for it.
 */
import type { Configuration, SourceConfiguration } from '../../config.ts'
import { Failure } from '../../errors.ts'
import type { Repository } from '../../repository/repository.ts'
import type { StoreLook } from '../../repository/store/look.ts'
import type { SchemaInfo } from '../../source/contract.ts'
import { type DatabaseHealth, HEALTH_TOPICS, type HealthQuestion, WRITER_TOPICS } from '../../source/health-contract.ts'
import type { World } from '../../world.ts'
import { CONFIGURATION_TOPICS, KEY_TOPICS, REPOSITORY_TOPICS, type Topic } from './check.ts'
import { DEFAULT_LIMITS, type Limits } from './limits.ts'
import { lookAtChoices, lookAtLayout, tablesAskedAbout } from './look-configuration.ts'
import { type Kept, lookAtIdentity, lookAtLog, lookAtSnapshot, lookAtTail, readKept } from './look-history.ts'
import { lookAtSigners, lookAtWrappers } from './look-keys.ts'
import { lookAtSecrets, lookAtSpill, storeFindings, storeSilences } from './look-machine.ts'
import { lookAtAudit, lookAtLedger, lookAtPacks, lookAtRestores } from './look-records.ts'
import { type DoctorReport, Looks } from './looks.ts'

export interface DoctorRequest {
  readonly configuration: Configuration
  readonly source: SourceConfiguration
  readonly world: World
  readonly nowMs: () => number
  readonly limits?: Limits
  /** Each throws a Failure where it cannot: then that is a finding. To be disposed of by whoever gave it. */
  readonly openRepository: () => Promise<Repository>
  readonly introspect: () => Promise<SchemaInfo>
  /** Null where this kind of database is asked nothing. */
  readonly examine: (question: HealthQuestion) => Promise<DatabaseHealth | null>
  readonly examineWriter: (question: HealthQuestion) => Promise<DatabaseHealth | null>
  readonly lookAtStore: () => Promise<StoreLook>
  /** Where tables are sorted, and how much room is there. */
  readonly spill: { readonly directory: string; readonly freeBytes: () => Promise<number> }
}

const LAYOUT_TOPICS = [
  'layout-tables',
  'layout-columns',
  'exclude-unknown',
  'tables-excluded',
  'tables-without-anchor',
  'tables-without-category',
  'anchor-leads-nowhere',
  'trigger-columns',
] as const
const CHOICE_TOPICS = CONFIGURATION_TOPICS.filter((topic) => !LAYOUT_TOPICS.some((layout) => layout === topic))
const LOG_TOPICS = [
  'capture-not-set-up',
  'capture-not-running',
  'changes-age',
  'change-log-damaged',
  'table-closed',
  'gap-declared',
] as const
const STORE_TOPICS = [
  'store-read-only',
  'store-space',
  'store-expires',
  'store-without-versions',
  'clock-store',
] as const

/** @throws defect */
export async function examine(request: DoctorRequest): Promise<DoctorReport> {
  const { configuration, source, world } = request
  const looks = new Looks(request.limits ?? DEFAULT_LIMITS)
  await looks.at(CHOICE_TOPICS, async () => lookAtChoices(configuration, source))
  await looks.at(['secret-in-environment', 'secret-file-rights', 'recovery-sheet-in-use'], () =>
    lookAtSecrets(world, source, configuration.repository),
  )
  await lookAtTheStore(request, looks)
  const kept = await lookAtTheRepository(request, looks)
  const schema = await lookAtTheSchema(request, looks)
  await lookAtTheDatabase(request, looks, kept, schema)
  return looks.report(source.name, new Date(request.nowMs()).toISOString())
}

async function lookAtTheStore({ lookAtStore, configuration }: DoctorRequest, looks: Looks): Promise<void> {
  const { url } = configuration.repository
  await looks.at(STORE_TOPICS, async () => {
    const look = await lookAtStore()
    looks.couldNot(storeSilences(look, url))
    return storeFindings(look, url)
  })
}

interface KeptHere extends Kept {
  readonly repository: Repository
}

/** @returns what is kept of the source, or null where that is not known */
async function lookAtTheRepository(request: DoctorRequest, looks: Looks): Promise<KeptHere | null> {
  const { source, configuration, nowMs } = request
  const limits = looks.limits
  const repository = await looks.open('repository-closed', request.openRepository)
  if (repository instanceof Failure) {
    looks.couldNot([...REPOSITORY_TOPICS, ...KEY_TOPICS].map((topic) => ({ topic, reason: repository.message })))
    return null
  }
  await looks.at(['wrapper-single', 'wrapper-damaged', 'recovery-sheet-missing'], () => lookAtWrappers(repository))
  const wantsApprovers = configuration.approval === 'two-people' && source.writer !== null
  await looks.at(['signer-agent-missing', 'signer-approver-missing'], () =>
    lookAtSigners(repository, { wantsApprovers }),
  )
  await looks.at(['orphan-packs', 'proof-age'], () => lookAtPacks(repository, nowMs()))
  await looks.at(['compare-age', 'audit-chain'], () => lookAtAudit(repository, source.name, nowMs()))
  await looks.at(['ledger-chain'], () => lookAtLedger(repository))
  await looks.at(['restore-unfinished', 'emergency-open'], () => lookAtRestores(repository))
  const kept = await looks.take(['snapshot-missing', 'snapshot-age', ...LOG_TOPICS], () =>
    readKept(repository, source.name),
  )
  if (kept === null) return null
  await looks.at(['snapshot-missing', 'snapshot-age'], async () => lookAtSnapshot(kept, source.name, nowMs()))
  const question = { repository, sourceName: source.name, kept, nowMs: nowMs(), limits }
  await looks.at(LOG_TOPICS, () => lookAtLog(question))
  return { ...kept, repository }
}

async function lookAtTheSchema({ introspect, source, spill }: DoctorRequest, looks: Looks): Promise<SchemaInfo | null> {
  const schema = await looks.take([...LAYOUT_TOPICS, 'spill-space'], introspect)
  if (schema === null) return null
  await looks.at(LAYOUT_TOPICS, async () => lookAtLayout(source, schema))
  await looks.at(['spill-space'], async () => lookAtSpill(spill.directory, await spill.freeBytes(), schema))
  return schema
}

async function lookAtTheDatabase(
  request: DoctorRequest,
  looks: Looks,
  kept: KeptHere | null,
  schema: SchemaInfo | null,
): Promise<void> {
  const { source, nowMs } = request
  const tables = schema === null ? null : tablesAskedAbout(source, schema)
  const question = { tables, slot: kept?.logs.logs.at(-1)?.slot ?? null, nowMs }
  const health = await looks.open('source-unreachable', () => request.examine(question))
  takeHealth(looks, health, HEALTH_TOPICS)
  const confirmedLsn = health instanceof Failure ? undefined : health?.slotConfirmedLsn
  await lookAtTheTail(looks, kept, { sourceName: source.name, slot: question.slot, confirmedLsn })
  if (source.writer !== null) {
    takeHealth(looks, await looks.open('writer-unreachable', () => request.examineWriter(question)), WRITER_TOPICS)
  }
  const identity = health instanceof Failure ? null : (health?.identity ?? null)
  const topics = ['history-changed', 'history-timeline'] as const
  if (kept !== null && identity !== null) await looks.at(topics, async () => lookAtIdentity(kept, identity))
  else looks.couldNot(topics.map((topic) => ({ topic, reason: 'the database or the repository did not answer' })))
}

/** Where the slot stands was asked before the log is looked at. */
async function lookAtTheTail(
  looks: Looks,
  kept: KeptHere | null,
  {
    sourceName,
    slot,
    confirmedLsn,
  }: { sourceName: string; slot: string | null; confirmedLsn: bigint | null | undefined },
): Promise<void> {
  const topic = 'change-log-shortened'
  if (kept === null) return
  if (confirmedLsn === undefined) looks.couldNot([{ topic, reason: 'the database did not answer' }])
  else if (slot === null) looks.saw([topic], [])
  else await looks.at([topic], () => lookAtTail(kept.repository, sourceName, { name: slot, confirmedLsn }))
}

function takeHealth(looks: Looks, health: DatabaseHealth | Failure | null, all: readonly Topic[]): void {
  if (health instanceof Failure) {
    looks.couldNot(all.map((topic) => ({ topic, reason: health.message })))
  } else if (health === null) {
    looks.couldNot(all.map((topic) => ({ topic, reason: 'this kind of database is asked nothing yet' })))
  } else {
    looks.couldNot(health.notLooked)
    looks.saw(health.looked, health.observations)
  }
}
