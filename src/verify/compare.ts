/**
 * A live database against a snapshot: every row of every table is read and proved equal, or counted as missing, extra
 * or changed. Equal leaves are recognised by their digests; only where they differ are rows read from the repository.
 *
 * The source is compared with the snapshot advanced by the change log to the very position at which it is read
 * (expected.ts): whatever differs was changed past capture, or is damage, `failed`. Where the log cannot tell what
 * happened since, to a table or to all of them, an application may have made the difference: `inconclusive`. A restored
 * database was given the rows of a snapshot, or of a moment, and nothing else: `failed`.
 */
import { Failure } from '../errors.ts'
import { buildAllTables } from '../intake/build-all.ts'
import type { BuildPool, TableConsumer } from '../intake/build-pool.ts'
import { hasSameColumns, manifestPlan } from '../intake/prove-roots.ts'
import type { TablePlan } from '../intake/table-plan.ts'
import { isDamage } from '../repository/damage.ts'
import type { Manifest, TableManifest } from '../repository/manifest.ts'
import type { Repository } from '../repository/repository.ts'
import { type State, theSnapshotItself } from '../repository/state/state.ts'
import { TreeReader } from '../repository/tree/tree-reader.ts'
import type { ConsistentRead, ReadPosition, Source, SourceIdentity, TableInfo } from '../source/contract.ts'
import { isSameDatabase } from '../source/identity.ts'
import { type Expected, expectAt, expectExactly } from './expected.ts'
import {
  type Finding,
  type FindingKind,
  finding,
  notLooked,
  type Verification,
  verification,
  warning,
} from './finding.ts'
import { PatientFinder } from './patients.ts'
import { TableDiff } from './table-diff.ts'

export interface CompareRequest {
  readonly repository: Repository
  readonly source: Source
  /** The newest of all when not given. */
  readonly snapshotId?: string
  /** What a restored database was given, where that is no snapshot. */
  readonly state?: State
  /** True for the source itself; false for a database that was restored from the snapshot. */
  readonly expectSameHistory: boolean
  readonly pool: BuildPool
  readonly signal: AbortSignal
  readonly nowMs: () => number
  readonly lockTimeoutMs?: number
  readonly onProgress?: (bytesRead: number) => void
  /** Between two looks at the change log. Default: the real one. */
  readonly sleep?: (ms: number) => Promise<void>
  /** How long the change log may stand still before the snapshot is compared as it is. Default: 30 s. */
  readonly stallMs?: number
}

export interface ComparedTable {
  readonly table: string
  /** `not-comparable`: it is gone, or has other columns. */
  readonly outcome: 'equal' | 'differs' | 'not-comparable'
  readonly expectedRows: number
  readonly missing: number
  readonly extra: number
  readonly changed: number
}

export interface Comparison extends Verification {
  readonly snapshot: string
  /** Where in the database's history the comparison stands; null when it was not read. */
  readonly position: ReadPosition | null
  /** The database may have changed since the snapshot, and rightly: nobody can tell. */
  readonly movedOn: boolean
  /** Transactions of the change log by which the snapshot was advanced to the read; null when it was not. */
  readonly advancedBy: number | null
  /** In the order of the manifest. */
  readonly tables: readonly ComparedTable[]
}

const LOCK_TIMEOUT_MS = 5_000
/** A table that is new is none: the snapshot never spoke of it. */
const DIFFERENCES: ReadonlySet<FindingKind> = new Set<FindingKind>(['table-missing', 'columns-differ', 'rows-differ'])

/**
 * @throws snapshot-not-found; bad-usage when the database is not the snapshot's source and ought to be; every
 * source-… failure; yielded-to-application
 */
export async function compareDatabase(request: CompareRequest): Promise<Comparison> {
  const startedMs = request.nowMs()
  const { source, repository } = request
  const manifest = request.state?.manifest ?? (await chosenManifest(request))
  if (request.expectSameHistory) assertSameDatabase(manifest, await source.identify())
  const present = (await source.introspect()).tables.map((table) => table.name)
  const wanted = manifest.tables.map((table) => table.name).filter((name) => present.includes(name))

  const lockTimeoutMs = request.lockTimeoutMs ?? LOCK_TIMEOUT_MS
  const read =
    wanted.length > 0 ? await source.openRead({ tables: wanted, signal: request.signal, lockTimeoutMs }) : null
  await using _ = read
  await using expected = request.expectSameHistory
    ? await expectAt(request, manifest, read?.position ?? null)
    : expectExactly(request.state ?? theSnapshotItself(repository, manifest))
  const run = new CompareRun(expected, { present, read })
  const findings = await run.compare(request)
  const seconds = (request.nowMs() - startedMs) / 1000
  const looked = { tables: wanted.length, bytesRead: run.bytesRead, rowsExpected: run.rowsExpected }
  const movedOn = expected.notAdvanced !== null
  const advancedBy = movedOn || !request.expectSameHistory ? null : (expected.state.folded?.transactions ?? 0)
  const position = read?.position ?? null
  const common = { snapshot: manifest.snapshotId, position, movedOn, advancedBy, tables: run.tables() }
  return { ...verification(findings, looked, seconds), ...common }
}

async function chosenManifest({ repository, snapshotId }: CompareRequest): Promise<Manifest> {
  const chosen = snapshotId ?? (await repository.snapshotIds()).at(-1)
  if (chosen !== undefined) return (await repository.readManifest(chosen)).manifest
  throw new Failure('snapshot-not-found', 'the repository has no snapshot', {
    hints: ['Run `chartkeep backup` to take the first one.'],
  })
}

function assertSameDatabase({ source, snapshotId }: Manifest, found: SourceIdentity): void {
  if (isSameDatabase(source, found)) return
  throw new Failure(
    'bad-usage',
    `database ${found.databaseName} of system ${found.systemId} is not the source of snapshot ${snapshotId}, ` +
      `${source.databaseName} of system ${source.systemId}`,
    { hints: ['To compare a restored database, or a clone, use `chartkeep compare --against URL`.'] },
  )
}

class CompareRun {
  bytesRead = 0
  readonly #repository: Repository
  readonly #manifest: Manifest
  readonly #expected: Expected
  readonly #present: readonly string[]
  readonly #read: ConsistentRead | null
  readonly #infos: ReadonlyMap<string, TableInfo>
  readonly #diffs = new Map<string, TableDiff>()

  constructor(expected: Expected, live: { present: readonly string[]; read: ConsistentRead | null }) {
    this.#expected = expected
    this.#repository = expected.state.repository
    this.#manifest = expected.state.manifest
    this.#present = live.present
    this.#read = live.read
    this.#infos = new Map(live.read?.schema.tables.map((table) => [table.name, table]))
  }

  get rowsExpected(): number {
    return this.#comparable().reduce((sum, table) => sum + table.rows.rows, 0)
  }

  async compare(request: CompareRequest): Promise<Finding[]> {
    const findings = [...this.#expected.findings, ...this.#schemaFindings()]
    try {
      await this.#build(request)
      findings.push(...(await this.#rowFindings()))
    } catch (error) {
      if (isDamage(error)) {
        const hint = 'Run `chartkeep scrub` to see what is damaged in the repository, and whom it affects.'
        findings.push(finding({ kind: 'chunk-damaged', message: error.message, hint, patientsComplete: false }))
      } else if (error instanceof Failure && error.code.startsWith('store-')) {
        findings.push(notLooked('all of the repository', error))
      } else throw error
    }
    const differing = findings.filter(({ kind }) => DIFFERENCES.has(kind))
    findings.push(...this.#movedOnFindings(differing))
    return findings
  }

  tables(): ComparedTable[] {
    return this.#manifest.tables.map((table) => {
      const diff = this.#diffs.get(table.name)
      const { missing = 0, extra = 0, changed = 0 } = diff ?? {}
      const isSame = missing + extra + changed === 0
      // Compared in part, it may differ where nobody looked.
      const outcome = !isSame ? 'differs' : diff?.isFinished ? 'equal' : 'not-comparable'
      return { table: table.name, outcome, expectedRows: table.rows.rows, missing, extra, changed }
    })
  }

  async #build(request: CompareRequest): Promise<void> {
    if (!this.#read) return
    const stored = new Map(this.#manifest.tables.map((table) => [table.name, table]))
    this.bytesRead = await buildAllTables({
      read: this.#read,
      plans: this.#comparable().map((table) => manifestPlan(table, this.#infos)),
      pool: request.pool,
      secrets: this.#repository.keyring.secrets,
      encode: true,
      store: this.#repository.storeSettings,
      capabilities: this.#repository.store.capabilities,
      previousOf: (plan) => {
        const table = stored.get(plan.table.name)
        return table ? { rows: table.rows, locator: table.locator, lostPacks: [] } : null
      },
      consumerOf: async (plan) => this.#consumer(plan, stored.get(plan.table.name)!, request.onProgress ?? (() => {})),
      onTableDone: async (plan) => await this.#diffs.get(plan.table.name)?.finish(),
      signal: request.signal,
    })
  }

  #consumer(plan: TablePlan, table: TableManifest, onRead: (bytes: number) => void): TableConsumer {
    const reader = new TreeReader(plan.spec, this.#repository.chunkReader(), this.#repository.keyring.secrets)
    const diff = new TableDiff(reader, table.rows)
    this.#diffs.set(table.name, diff)
    return {
      onLeaf: async (tree, leaf) => (tree === 'rows' ? await diff.add(leaf) : undefined),
      onRead,
      // The leaves that it lost are compared row by row, and their reading says what is damaged.
      onPreviousDamaged: () => {},
    }
  }

  #comparable(): TableManifest[] {
    return this.#manifest.tables.filter((table) => hasSameColumns(table, this.#infos.get(table.name)))
  }

  #schemaFindings(): Finding[] {
    const { tables, notCaptured, snapshotId } = this.#manifest
    const snapshots = [snapshotId]
    const findings = tables.flatMap((table) => {
      const parts = { tables: [table.name], snapshots, rows: table.rows.rows }
      const info = this.#infos.get(table.name)
      if (!info) {
        const message = `table ${table.name} of ${table.rows.rows} rows is not in the database`
        return [this.#difference({ kind: 'table-missing', message, patientsComplete: false, ...parts })]
      }
      const changes = columnChanges(table, info)
      if (changes === null) return []
      const message = `table ${table.name} has other columns than in the snapshot: ${changes}`
      return [this.#difference({ kind: 'columns-differ', message, patientsComplete: false, ...parts })]
    })
    const known = new Set([...tables, ...notCaptured].map(({ name }) => name))
    for (const name of this.#present.filter((table) => !known.has(table))) {
      const message = `table ${name} is in the database, and not in the snapshot`
      findings.push(warning({ kind: 'table-added', message, tables: [name], snapshots }))
    }
    return findings
  }

  async #rowFindings(): Promise<Finding[]> {
    const findings: Finding[] = []
    const patients = new PatientFinder(this.#repository, [this.#manifest])
    for (const table of this.#manifest.tables) {
      const diff = this.#diffs.get(table.name)
      if (!diff || diff.missing + diff.extra + diff.changed === 0) continue
      const { missing, extra, changed } = diff
      const { pseudonyms, complete } = await patients.ofAnchors(this.#manifest.snapshotId, table, diff.anchors)
      findings.push(
        this.#difference({
          kind: 'rows-differ',
          message: `table ${table.name}: ${missing} rows missing, ${extra} extra, ${changed} changed`,
          tables: [table.name],
          snapshots: [this.#manifest.snapshotId],
          patients: pseudonyms,
          patientsComplete: complete && diff.anchorsComplete,
          rows: missing + extra + changed,
        }),
      )
    }
    return findings
  }

  /** An error, unless the table is one of which nobody can tell what the application did to it. */
  #difference(parts: Parameters<typeof finding>[0]): Finding {
    const isDoubtful = parts.tables?.some((table) => this.#expected.doubts.has(table))
    return isDoubtful ? warning(parts) : finding(parts)
  }

  #movedOnFindings(differing: readonly Finding[]): Finding[] {
    const { notAdvanced, doubts } = this.#expected
    const tables = [...new Set(differing.flatMap((found) => found.tables))].filter((table) => doubts.has(table)).sort()
    if (tables.length === 0) return []
    const { snapshotId, position } = this.#manifest
    const reasons = tables.map((table) => `${table}: ${doubts.get(table)}`)
    const message =
      notAdvanced === null
        ? `the change log cannot tell what happened since snapshot ${snapshotId} to ${reasons.join('; ')}`
        : `the database has gone on since snapshot ${snapshotId} (taken at ${position.lsn}, now at ` +
          `${this.#read?.position.lsn ?? 'no position'}), and ${notAdvanced}: the application may have made these differences`
    const hint = 'Run `chartkeep backup`, and compare with the new snapshot before anything is written.'
    return [warning({ kind: 'moved-on', message, hint, tables, snapshots: [snapshotId], patientsComplete: false })]
  }
}

/** By name and type; null when there are none. */
function columnChanges(table: TableManifest, info: TableInfo): string | null {
  const before = new Map(table.columns.map(({ name, type }) => [name, type]))
  const now = new Map(info.columns.map(({ name, type }) => [name, type]))
  const changes: string[] = []
  for (const [name, type] of before) {
    const found = now.get(name)
    if (found === undefined) changes.push(`${name} is gone`)
    else if (found !== type) changes.push(`${name} is ${found} and was ${type}`)
  }
  for (const name of now.keys()) if (!before.has(name)) changes.push(`${name} is new`)
  if (changes.length === 0 && !hasSameColumns(table, info)) changes.push('their order')
  return changes.length > 0 ? changes.join(', ') : null
}
