/**
 * Opens whatever kind of database an address names: the only place that knows kinds. What differs between them is
 * in `SourceCapabilities`.
 */
import { Failure } from '../errors.ts'
import type { ConnectionSettings, LoadTable, ReadTable, Source, Target } from './contract.ts'
import type { DatabaseHealth, HealthQuestion } from './health-contract.ts'
import { setupSqlFor as setupPostgresSql } from './postgres/setup.ts'
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
import { setupSqlFor as setupSqlServerSql } from './sqlserver/setup.ts'

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
  ask(settings: ConnectionSettings, questions: readonly Question[], world: AskingWorld): Promise<Answer[]>
  openScratch(wish: ScratchWish): Promise<ScratchServer>
  /** Absent for a kind of database that `doctor` asks nothing yet. */
  readonly examine?: Examine
  /** As the role that puts patients back. */
  readonly examineWriter?: Examine
}

interface AskingWorld {
  readonly salt: Uint8Array
  readonly nowMs: () => number
  readonly signal: AbortSignal
}

type Examine = (settings: ConnectionSettings, question: HealthQuestion) => Promise<DatabaseHealth>

/** Loaded when it is asked for: a thread that reads a table needs a fifth of the modules, and pays for all it loads. */
const postgres: Kind = {
  schemes: ['postgres:', 'postgresql:'],
  openSource: async (...asked) => (await import('./postgres/source.ts')).openPostgresSource(...asked),
  openTarget: async (...asked) => (await import('./postgres/target.ts')).openPostgresTarget(...asked),
  openLiveRows: async (...asked) => (await import('./postgres/live-rows.ts')).openLiveRows(...asked),
  applyRows: async (...asked) => (await import('./postgres/apply-rows.ts')).applyRows(...asked),
  settleOutcome: async (...asked) => (await import('./postgres/outcome.ts')).settleOutcome(...asked),
  countByMonth: async (...asked) => (await import('./postgres/count-by-month.ts')).countByMonth(...asked),
  readTable: readPostgresTable,
  loadTable: async (...asked) => (await import('./postgres/load-table.ts')).loadTable(...asked),
  setupSql: setupPostgresSql,
  ask: async (...asked) => (await import('./postgres/ask.ts')).askPostgres(...asked),
  openScratch: async (...asked) => (await import('./postgres/scratch-server/open.ts')).openScratchServer(...asked),
  examine: async (...asked) => (await import('./postgres/doctor/examine.ts')).examinePostgres(...asked),
  examineWriter: async (...asked) => (await import('./postgres/doctor/examine.ts')).examinePostgresWriter(...asked),
}

async function* readPostgresTable(...asked: Parameters<ReadTable>): AsyncGenerator<Uint8Array> {
  yield* (await import('./postgres/read-table.ts')).readTable(...asked)
}

/** Its client is as many modules as all the rest: it is loaded when there is a SQL Server. */
const sqlServer: Kind = {
  schemes: ['sqlserver:', 'mssql:'],
  openSource: async (...asked) => (await import('./sqlserver/source.ts')).openSqlServerSource(...asked),
  openTarget: async (...asked) => (await import('./sqlserver/target.ts')).openSqlServerTarget(...asked),
  openLiveRows: async (...asked) => (await import('./sqlserver/live-rows.ts')).openLiveRows(...asked),
  applyRows: async (...asked) => (await import('./sqlserver/apply-rows.ts')).applyRows(...asked),
  settleOutcome: async () => (await import('./sqlserver/outcome.ts')).settleOutcome(),
  countByMonth: async (...asked) => (await import('./sqlserver/count-by-month.ts')).countByMonth(...asked),
  readTable: readSqlServerTable,
  loadTable: async (...asked) => (await import('./sqlserver/load-table.ts')).loadTable(...asked),
  setupSql: setupSqlServerSql,
  ask: async (...asked) => (await import('./sqlserver/ask.ts')).askSqlServer(...asked),
  openScratch: async (...asked) => (await import('./sqlserver/scratch.ts')).openScratchDatabase(...asked),
  examine: async (...asked) => (await import('./sqlserver/doctor/examine.ts')).examineSqlServer(...asked),
  examineWriter: async (...asked) => (await import('./sqlserver/doctor/examine.ts')).examineSqlServerWriter(...asked),
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
  world: AskingWorld,
): Promise<Answer[]> {
  return kindOf(settings).ask(settings, questions, world)
}

/**
 * An empty database on a server of the kind that the snapshot was taken from.
 * @param url of the source
 * @throws bad-configuration, unsupported-server, source-failed
 */
export async function openScratchServer(url: string, wish: ScratchWish): Promise<ScratchServer> {
  const kind = kindOf({ url })
  if (wish.on !== null && kindOf(wish.on) !== kind) {
    throw new Failure('bad-configuration', 'the server for copies (`scratch`) is of another kind than the source')
  }
  return kind.openScratch(wish)
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
