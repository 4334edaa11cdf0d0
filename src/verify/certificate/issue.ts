/**
 * A certificate from first to last: the period compared, a copy restored and tried, the opinion found by its rules. What
 * comes out is data; `package.ts` signs it and writes the files.
 */
import type { BuildPool } from '../../intake/build-pool.ts'
import { PACK_PREFIX, packIdOf, timedId, WRAPPER_PREFIX } from '../../repository/layout.ts'
import { formatVerifierKey } from '../../repository/ledger/signed-note.ts'
import type { ReadManifest, Repository } from '../../repository/repository.ts'
import { restoreDatabase } from '../../restore/database.ts'
import type { ConnectionSettings } from '../../source/contract.ts'
import { tool } from '../../tool.ts'
import { oldestProof } from '../proofs.ts'
import { sumOf } from './balance-lines.ts'
import { type ComparedPeriod, comparePeriod } from './compare-period.ts'
import { type DemonstrationRequest, demonstrate, notDemonstrated } from './demonstrate.ts'
import type {
  BalanceLine,
  Certificate,
  DrillFacts,
  EndFacts,
  ReasonCount,
  SignerFacts,
  TableFacts,
} from './document.ts'
import { STATEMENTS } from './document.ts'
import { exceptionsOf } from './exceptions.ts'
import { ledgerProof } from './ledger-proofs.ts'
import { tablesRoot } from './merkle-tables.ts'
import { opinionOf } from './opinion.ts'
import type { ExplainRules } from './rules.ts'
import { readPeriod } from './steps.ts'
import { tableName } from './tables.ts'

/** An empty database that nobody else uses, and that is gone afterwards. */
export interface ScratchDatabase extends AsyncDisposable {
  readonly connection: ConnectionSettings
  /** For the certificate: `PostgreSQL 17, embedded`. */
  readonly server: string
}

export interface IssueRequest {
  readonly repository: Repository
  readonly baseline: ReadManifest
  readonly end: ReadManifest
  readonly rules: ExplainRules
  /** Printed as given. */
  readonly organisation: string
  readonly system: string
  /** From the hospital: by it the samples are drawn. */
  readonly sampleSeed: string
  readonly sample: DemonstrationRequest['sample']
  /** Null: nothing is restored, and the opinion is a disclaimer. */
  readonly openScratch: (() => Promise<ScratchDatabase>) | null
  readonly buildPool: BuildPool
  readonly drills: readonly DrillFacts[]
  readonly nowMs: () => number
  readonly random: (bytes: number) => Uint8Array
  readonly signal: AbortSignal
  readonly onProgress: (what: string) => void
}

export interface IssuedCertificate {
  readonly certificate: Certificate
  readonly baseline: ReadManifest
  readonly end: ReadManifest
  /** The signed note of the ledger's head. */
  readonly checkpoint: string
}

/** @throws repository-damaged, object-missing, target-…, restore-unproved, store-… */
export async function issueCertificate(request: IssueRequest): Promise<IssuedCertificate> {
  const { repository, baseline, end, rules, nowMs } = request
  const period = await readPeriod(repository, baseline.manifest, end.manifest)
  const compared = await comparePeriod(repository, period, {
    rules,
    signal: request.signal,
    onTable: (table) => request.onProgress(table),
  })
  const balance = balanceLines(compared)
  const shown = await tryCopy(request, balance)
  // One moment for number, date and checkpoint: when everything was looked at.
  const issuedMs = nowMs()
  const issuedAt = new Date(issuedMs).toISOString()
  const { checkpoint, note } = await repository.ledger.checkpoint(`${issuedAt.slice(0, 19)}Z`)
  const tables = tableFacts(compared)
  const { manifest } = end
  const facts = {
    issuedAt,
    balance,
    tables,
    demonstrations: shown.demonstrations,
    drills: request.drills,
    baseline: await endFacts(repository, baseline, checkpoint.size),
    end: await endFacts(repository, end, checkpoint.size),
    period: periodFacts(compared),
  }
  const certificate: Certificate = {
    format: 1,
    kind: 'chartkeep certificate',
    number: `CK-${timedId(issuedMs, request.random(4))}`,
    organisation: request.organisation,
    system: request.system,
    subject: subjectOf(repository, end),
    ...facts,
    ledger: {
      origin: checkpoint.origin,
      verifierKey: formatVerifierKey(repository.ledger.verifierKey),
      size: checkpoint.size,
      root: Buffer.from(checkpoint.root).toString('base64'),
    },
    signers: signersOf(baseline, end),
    tablesRoot: tablesRoot(tables),
    notCaptured: manifest.notCaptured.map(({ kind, name, reason }) => ({ kind, name, reason })),
    reasons: reasonCounts(compared),
    keyHoles: compared.tables.flatMap(({ keyHoles }) => keyHoles ?? []),
    series: compared.series,
    restores: compared.changesets.map(({ id, kind, authorisation }) => ({ id, kind, authorisation })),
    sampleSeed: request.sampleSeed,
    restoredCopy: shown.copy,
    copies: await copiesOf(repository),
    exceptions: await exceptionsOf(repository, compared, { ...shown, drills: request.drills }),
    opinion: opinionOf(facts),
    rules: rulesAsData(rules),
    tool: { name: tool.name, version: tool.version, node: process.version },
  }
  return { certificate, baseline, end, checkpoint: note }
}

async function tryCopy(
  request: IssueRequest,
  balance: readonly BalanceLine[],
): Promise<Pick<Certificate, 'demonstrations'> & { readonly copy: Certificate['restoredCopy'] }> {
  const { openScratch, repository, end, buildPool, signal, nowMs, rules } = request
  if (!openScratch) return { demonstrations: STATEMENTS.map(notDemonstrated), copy: null }
  await using scratch = await openScratch()
  request.onProgress('restoring a copy')
  const { manifest } = end
  const into = scratch.connection
  const restored = await restoreDatabase({ repository, manifest, into, buildPool, signal, nowMs, onProgress: () => {} })
  request.onProgress('trying the copy')
  const { sampleSeed: seed, sample } = request
  const demonstrations = await demonstrate({
    repository,
    manifest,
    copy: into,
    rules,
    balance,
    seed,
    sample,
    nowMs,
    signal,
  })
  const { rows, tables, seconds } = restored
  return { demonstrations, copy: { rows, tables, seconds: Math.round(seconds * 10) / 10, server: scratch.server } }
}

/** In order of category, table and month; parts of one partitioned table together. */
function balanceLines({ tables }: ComparedPeriod): BalanceLine[] {
  const groups = new Map<string, BalanceLine[]>()
  for (const { balance } of tables) {
    for (const [month, cell] of balance?.cells ?? []) {
      const { category, table } = balance!
      const id = [category, table, month].join('\t')
      groups.set(id, [...(groups.get(id) ?? []), { category, table, month, ...cell }])
    }
  }
  const sorted = [...groups].sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted.map(([, lines]) => {
    const { category, table, month } = lines[0]!
    return { ...sumOf(lines), category, table, month }
  })
}

function reasonCounts({ tables }: ComparedPeriod): ReasonCount[] {
  const counts = new Map<string, ReasonCount>()
  for (const { balance } of tables) {
    for (const [reason, changes] of balance?.reasons ?? []) {
      const { table } = balance!
      const id = `${table}\t${reason}`
      counts.set(id, { table, reason, changes: changes + (counts.get(id)?.changes ?? 0) })
    }
  }
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, count]) => count)
}

function tableFacts({ tables }: ComparedPeriod): TableFacts[] {
  return tables.map((table) => ({
    name: table.name,
    countedAs: tableName(table),
    category: (table.after ?? table.before)!.category,
    clock: table.balance?.clockName ?? null,
    baseline: rootFacts(table.before),
    end: rootFacts(table.after),
    isComparable: table.balance !== null,
    isTold: table.isTold,
    columnsGone: table.columnsGone,
    columnsNew: table.columnsNew,
  }))
}

function rootFacts(table: ComparedPeriod['tables'][number]['before']): TableFacts['end'] {
  if (!table) return null
  const { digest, level, rows } = table.rows
  return { digest, level, rows }
}

async function endFacts(repository: Repository, read: ReadManifest, size: number): Promise<EndFacts> {
  const { manifest, sha256 } = read
  const { index } = ledgerProof(await repository.ledger.read(), manifest.snapshotId, sha256, size)
  return {
    snapshotId: manifest.snapshotId,
    takenAt: manifest.position.sourceTime,
    manifestSha256: sha256,
    ledgerIndex: index,
    rows: manifest.tables.reduce((sum, { rows }) => sum + rows.rows, 0),
  }
}

function periodFacts({ period: { steps, missing } }: ComparedPeriod): Certificate['period'] {
  const told = steps.filter(({ transactions }) => transactions !== null)
  const transactions = told.reduce((sum, step) => sum + step.transactions!.count, 0)
  return { snapshots: steps.length + 1, toldSteps: told.length, transactions, missing }
}

function subjectOf(repository: Repository, { manifest }: ReadManifest): Certificate['subject'] {
  const { engine, systemId, databaseName, serverVersion, encoding } = manifest.source
  const { sourceName } = manifest
  return { sourceName, engine, systemId, databaseName, serverVersion, encoding, repositoryId: repository.id }
}

function signersOf(...manifests: readonly ReadManifest[]): SignerFacts[] {
  const signers = manifests.map(({ signer: { signerId, name, publicKey } }) => ({ signerId, name, publicKey }))
  return signers.filter(({ signerId }, index) => signers.findIndex((one) => one.signerId === signerId) === index)
}

async function copiesOf(repository: Repository): Promise<Certificate['copies']> {
  const packIds: string[] = []
  let bytes = 0
  for await (const { key, bytes: size } of repository.store.list(PACK_PREFIX)) {
    packIds.push(packIdOf(key))
    bytes += size
  }
  const { oldest, neverProved } = await oldestProof(repository, packIds)
  const wrappers = (await repository.sealed.names(WRAPPER_PREFIX)).length
  return { packs: packIds.length, bytes, neverProved, oldestProof: oldest, wrappers }
}

function rulesAsData({ utcOffsetMinutes, audit, closed, mayChange, untilClosed }: ExplainRules): Certificate['rules'] {
  return {
    utcOffsetMinutes,
    audit: audit && {
      table: audit.table,
      toleranceSeconds: audit.toleranceSeconds,
      actions: [...audit.actions].filter(([, kinds]) => kinds.length > 0).map(([name]) => name),
    },
    closed: closed.map(({ table, column, graceHours }) => ({ table, column, graceHours })),
    mayChange: [...mayChange].sort(),
    untilClosed: [...untilClosed].sort(),
  }
}
