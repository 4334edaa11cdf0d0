/**
 * Opens whatever kind of database an address names: the only place that knows kinds. What differs between them is
 * in `SourceCapabilities`.
 */
import { Failure } from '../errors.ts'
import type { ConnectionSettings, LoadTable, ReadTable, Source, Target } from './contract.ts'
import type { DatabaseHealth, HealthQuestion } from './health-contract.ts'
import { applyRows as applyPostgresRows } from './postgres/apply-rows.ts'
import { askPostgres } from './postgres/ask.ts'
import { countByMonth as countPostgresByMonth } from './postgres/count-by-month.ts'
import { examinePostgres, examinePostgresWriter } from './postgres/doctor/examine.ts'
import { openLiveRows as openPostgresRows } from './postgres/live-rows.ts'
import { loadTable as loadPostgresTable } from './postgres/load-table.ts'
import { settleOutcome as settlePostgresOutcome } from './postgres/outcome.ts'
import { readTable as readPostgresTable } from './postgres/read-table.ts'
import { openScratchServer as openPostgresScratch } from './postgres/scratch-server/open.ts'
import { setupSqlFor as setupPostgresSql } from './postgres/setup.ts'
import { openPostgresSource } from './postgres/source.ts'
import { openPostgresTarget } from './postgres/target.ts'
import type {
  AppliedRows,
  AppliedTransaction,
  ApplyRequest,
  LiveRows,
  LiveRowsOptions,
  MonthCount,
  TransactionOutcome,
} from './row-contract.ts'
import type { Answer, Question, ScratchServer, ScratchWish } from './scratch-contract.ts'
import { notYet, refuseYet } from './sqlserver/not-yet.ts'

interface Kind {
  readonly schemes: readonly string[]
  openSource(settings: ConnectionSettings): Promise<Source>
  openTarget(settings: ConnectionSettings): Promise<Target>
  openLiveRows(settings: ConnectionSettings, options: LiveRowsOptions): Promise<LiveRows>
  applyRows(settings: ConnectionSettings, request: ApplyRequest): Promise<AppliedRows>
  settleOutcome(settings: ConnectionSettings, transaction: AppliedTransaction): Promise<TransactionOutcome>
  countByMonth(
    settings: ConnectionSettings,
    counts: readonly MonthCount[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, number>[]>
  readonly readTable: ReadTable
  readonly loadTable: LoadTable
  setupSql(url: string, options: SetupChoice): string
  ask: typeof askPostgres
  openScratch(wish: ScratchWish): Promise<ScratchServer>
  /** Absent for a kind of database that `doctor` asks nothing yet. */
  readonly examine?: Examine
  /** As the role that puts patients back. */
  readonly examineWriter?: Examine
}

type Examine = (settings: ConnectionSettings, question: HealthQuestion) => Promise<DatabaseHealth>

const postgres: Kind = {
  schemes: ['postgres:', 'postgresql:'],
  openSource: openPostgresSource,
  openTarget: openPostgresTarget,
  openLiveRows: openPostgresRows,
  applyRows: applyPostgresRows,
  settleOutcome: settlePostgresOutcome,
  countByMonth: countPostgresByMonth,
  readTable: readPostgresTable,
  loadTable: loadPostgresTable,
  setupSql: setupPostgresSql,
  ask: askPostgres,
  openScratch: openPostgresScratch,
  examine: examinePostgres,
  examineWriter: examinePostgresWriter,
}

/** Its client is as many modules as all the rest: it is loaded when there is a SQL Server. */
const sqlServer: Kind = {
  schemes: ['sqlserver:', 'mssql:'],
  openSource: async (...asked) => (await import('./sqlserver/source.ts')).openSqlServerSource(...asked),
  openTarget: async (...asked) => (await import('./sqlserver/target.ts')).openSqlServerTarget(...asked),
  openLiveRows: refuseYet("one patient's rows"),
  applyRows: refuseYet('putting rows back'),
  settleOutcome: refuseYet('the outcome of a restore'),
  countByMonth: refuseYet('counting by month'),
  readTable: readSqlServerTable,
  loadTable: async (...asked) => (await import('./sqlserver/load-table.ts')).loadTable(...asked),
  setupSql: () => {
    throw notYet('setup-sql')
  },
  ask: refuseYet('questions of a drill'),
  openScratch: refuseYet('a server for drills'),
  examine: refuseYet('doctor'),
  examineWriter: refuseYet('doctor'),
}

async function* readSqlServerTable(...asked: Parameters<ReadTable>): AsyncGenerator<Uint8Array> {
  yield* (await import('./sqlserver/read-table.ts')).readTable(...asked)
}

const kinds: readonly Kind[] = [postgres, sqlServer]

/** @throws bad-configuration for an address of no known kind; else what the kind's own opening throws */
export async function openSource(settings: ConnectionSettings): Promise<Source> {
  return kindOf(settings).openSource(settings)
}

/** @throws bad-configuration for an address of no known kind; else what the kind's own opening throws */
export async function openTarget(settings: ConnectionSettings): Promise<Target> {
  return kindOf(settings).openTarget(settings)
}

/** @throws bad-configuration for an address of no known kind; else what the kind's own opening throws */
export async function openLiveRows(settings: ConnectionSettings, options: LiveRowsOptions): Promise<LiveRows> {
  return kindOf(settings).openLiveRows(settings, options)
}

export async function applyRows(settings: ConnectionSettings, request: ApplyRequest): Promise<AppliedRows> {
  return kindOf(settings).applyRows(settings, request)
}

/** Rows of each table by month, in the order of `counts`. @throws source-…, missing-rights */
export async function countByMonth(
  settings: ConnectionSettings,
  counts: readonly MonthCount[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>[]> {
  return kindOf(settings).countByMonth(settings, counts, signal)
}

/** Counts and digests only, as of one moment. @throws source-… */
export async function askDatabase(
  settings: ConnectionSettings,
  questions: readonly Question[],
  world: { readonly salt: Uint8Array; readonly nowMs: () => number; readonly signal: AbortSignal },
): Promise<Answer[]> {
  return kindOf(settings).ask(settings, questions, world)
}

/** A server of the kind that the snapshot was taken from, with an empty database. @throws unsupported-server, source-failed */
export async function openScratchServer(url: string, wish: ScratchWish): Promise<ScratchServer> {
  return kindOf({ url }).openScratch(wish)
}

/** What became of a transaction whose end nobody wrote down. */
export async function settleOutcome(
  settings: ConnectionSettings,
  transaction: AppliedTransaction,
): Promise<TransactionOutcome> {
  return kindOf(settings).settleOutcome(settings, transaction)
}

export const readTable: ReadTable = (ticket, table, signal) =>
  kindOf(ticket.connection).readTable(ticket, table, signal)

export const loadTable: LoadTable = (connection, table, lines, signal) =>
  kindOf(connection).loadTable(connection, table, lines, signal)

export interface SetupChoice {
  /** Tables that are not backed up, as the configuration names them. */
  readonly exclude: readonly string[]
  /** For the role that puts patients back, instead of the one that reads. */
  readonly writer?: boolean
}

/**
 * What the administrator of the database at `url` has to run once, so that we may read it and follow its changes; and again
 * after tables were added.
 */
export function setupSql(url: string, choice: SetupChoice = { exclude: [] }): string {
  return kindOf({ url }).setupSql(url, choice)
}

/** What the database tells of its health; null where this kind is asked nothing. Changes nothing. */
export async function examineDatabase(
  settings: ConnectionSettings,
  question: HealthQuestion,
): Promise<DatabaseHealth | null> {
  return (await kindOf(settings).examine?.(settings, question)) ?? null
}

/** As `examineDatabase`, of the role that puts patients back. */
export async function examineWriter(
  settings: ConnectionSettings,
  question: HealthQuestion,
): Promise<DatabaseHealth | null> {
  return (await kindOf(settings).examineWriter?.(settings, question)) ?? null
}

function kindOf(settings: Pick<ConnectionSettings, 'url'>): Kind {
  const scheme = URL.canParse(settings.url) ? new URL(settings.url).protocol : ''
  const kind = kinds.find((known) => known.schemes.includes(scheme))
  if (kind) return kind
  throw new Failure('bad-configuration', `no kind of database has addresses that begin with '${scheme}'`, {
    hints: [
      'A PostgreSQL source is given as postgres://user@host:port/database.',
      'A SQL Server source is given as sqlserver://user@host:port/database.',
    ],
  })
}
