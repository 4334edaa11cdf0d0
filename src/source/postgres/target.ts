/**
 * A PostgreSQL database to rebuild into.
 *
 * It must be empty, and must not be the source: by system identifier and database oid, not by the name of a host
 * (I8, F19). Steps run in one transaction, so that a rebuild that fails leaves the database as empty as it was.
 * Owners and grants of roles that this server does not have cannot be given and must not cost the rows: each such
 * statement stands in a savepoint, and what could not be given is listed in `skipped`. So is a constraint that the
 * source's own rows break: rows of a moment are worth more than the rules of the snapshot before it.
 */
import type {
  ConnectionSettings,
  DdlStep,
  LoosenedCheck,
  NotCaptured,
  SequenceInfo,
  SourceIdentity,
  Target,
  TargetChecks,
} from '../contract.ts'
import { isSameDatabase } from '../identity.ts'
import { isSource, notEmpty, otherKind } from '../unusable-target.ts'
import { addCheck, CHECK_VIOLATION, hasCheck, loosenChecks } from './broken-checks.ts'
import { inExtension, shownName, statementName, USER_SCHEMA } from './catalog.ts'
import { connect, type Session } from './connect.ts'
import { isServerError, toPostgresFailure } from './failures.ts'
import { readIdentity } from './identity.ts'
import { otherEncoding } from './load-table.ts'
import { setSequence } from './sequences.ts'
import { isPrimaryKeyStep, isRightsStep, mentions, tableOfStep, tablesOfForeignKey } from './steps.ts'
import { clearDatabase, readMark, setMark } from './target-mark.ts'

const FOREIGN_KEY_VIOLATION = '23503'
/** No key is there that the foreign key could refer to. */
const INVALID_FOREIGN_KEY = '42830'
/** Of a unique constraint or index, of an exclusion constraint. */
const KEY_VIOLATIONS = ['23505', '23P01']
/** A check cannot be merged with that of a child which is not valid. */
const CHECK_REFUSALS = [CHECK_VIOLATION, '42P16', '42P17', '55000']

const COPY_COUNTS = 'A physical copy of the source counts as the source: a server made by initdb does not.'

/**
 * For indexes and for the checking of foreign keys: the default of 64 MB sends the sorting of any larger table through
 * temporary files. A server that was given more keeps it.
 */
const SORT_IN_MEMORY = `SELECT set_config('maintenance_work_mem', '256MB', false)
  WHERE pg_size_bytes(current_setting('maintenance_work_mem')) < pg_size_bytes('256MB')`

/**
 * A parallel build sends what it sorts through temporary files even where memory would hold it, which costs a quarter
 * more processor time, and two lanes build at once. Of an entry of an index some 60 bytes are sorted, a row takes more: twice
 * the memory is a table that one process sorts as well. A larger one keeps the server's workers.
 */
const ONE_PROCESS = `SELECT set_config('max_parallel_maintenance_workers', '0', true)
  WHERE pg_relation_size($1::regclass) <= 2 * pg_size_bytes(current_setting('maintenance_work_mem'))`

/** @throws source-unreachable, source-login-refused, source-not-found, setting-not-pinned, unsupported-server */
export async function openPostgresTarget(settings: ConnectionSettings): Promise<Target> {
  const session = await connect(settings, 'write')
  await failing('giving the session memory', () => session.query(SORT_IN_MEMORY))
  return new PostgresTarget(session)
}

class PostgresTarget implements Target {
  readonly skipped: NotCaptured[] = []
  readonly checks: TargetChecks = {
    isBroken: ({ code, context }) => code === 'target-failed' && context.sqlstate === CHECK_VIOLATION,
    loosen: async (table) => await this.#loosenChecks(table),
    tighten: async (checks) => await this.#tightenChecks(checks),
  }
  readonly #session: Session

  constructor(session: Session) {
    this.#session = session
  }

  identify(): Promise<SourceIdentity> {
    return failing('identifying the target', () => readIdentity(this.#session))
  }

  async assertUsable(source: SourceIdentity): Promise<void> {
    const target = await this.identify()
    if (source.engine !== target.engine) throw otherKind(source, 'PostgreSQL')
    if (isSameDatabase(source, target)) throw isSource(source, COPY_COUNTS)
    const found = await failing('looking whether the target is empty', () => findObjects(this.#session))
    if (found.length > 0) {
      const names = found.map((row) => `${row.kind} ${row.name}`)
      throw notEmpty(target, names, 'CREATE DATABASE … TEMPLATE template0')
    }
    if (source.encoding !== target.encoding) {
      throw otherEncoding({ target: target.encoding, source: source.encoding })
    }
  }

  readMark(): Promise<string | null> {
    return failing('reading the mark of a restore', () => readMark(this.#session))
  }

  setMark(mark: string | null): Promise<void> {
    return failing('marking the target', () => setMark(this.#session, mark))
  }

  clear(): Promise<void> {
    return failing('clearing the target', () => clearDatabase(this.#session))
  }

  async runSteps(steps: readonly DdlStep[], notMade: readonly NotCaptured[] = []): Promise<void> {
    await failing('rebuilding the schema', () =>
      this.#inTransaction(async () => {
        for (const step of steps) await this.#runStep(step, notMade)
      }),
    )
  }

  async setSequences(sequences: readonly SequenceInfo[]): Promise<void> {
    for (const sequence of sequences) {
      await failing(`setting sequence ${sequence.name}`, () => setSequence(this.#session, sequence))
    }
  }

  tableOf(step: DdlStep): string | null {
    return tableOfStep(step)
  }

  tablesOfForeignKey(step: DdlStep): readonly string[] | null {
    return tablesOfForeignKey(step)
  }

  async refreshViews(): Promise<void> {
    await failing('refreshing materialized views', () => this.#refreshViews())
  }

  async gatherStatistics(): Promise<void> {
    await failing('gathering statistics', () => this.#session.query('ANALYZE'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]()
  }

  async #inTransaction<T>(work: () => Promise<T>): Promise<T> {
    await this.#session.query('BEGIN')
    try {
      const result = await work()
      await this.#session.query('COMMIT')
      return result
    } catch (error) {
      // When the connection is gone, the server rolls back by itself.
      await this.#session.query('ROLLBACK').catch(() => {})
      throw error
    }
  }

  async #runStep(step: DdlStep, notMade: readonly NotCaptured[]): Promise<void> {
    const lacks = notMade.find(({ name }) => mentions(step, name))
    if (step.phase === 'key-or-index') await this.#buildInMemory(step)
    if (isRightsStep(step)) await this.#runRightsStep(step)
    else if (step.phase === 'foreign-key') await this.#runForeignKeyStep(step)
    else if (step.phase === 'key-or-index' && !isPrimaryKeyStep(step)) await this.#runKeyStep(step)
    else if (lacks !== undefined) await this.#runWithout(step, lacks)
    else await failing(`making ${step.object}`, () => this.#session.query(step.sql))
  }

  /** Until the end of the transaction. */
  async #buildInMemory(step: DdlStep): Promise<void> {
    const table = tableOfStep(step)
    if (table === null) return
    await failing(`making ${step.object}`, () => this.#session.query(ONE_PROCESS, [table]))
  }

  /** A primary key is what rows are found by: with one that is broken, something else is wrong than a rule. */
  async #runKeyStep(step: DdlStep): Promise<void> {
    const error = await this.#tryStep(step)
    if (error === undefined) return
    if (!isServerError(error) || !KEY_VIOLATIONS.includes(error.code)) throw unmade(step, error)
    this.skipped.push({ kind: 'key or index', name: step.object, reason: 'rows break it; not made' })
  }

  /** Such as the attachment of an index that is not there to its parent's, or what was said of a constraint. */
  async #runWithout(step: DdlStep, lacks: NotCaptured): Promise<void> {
    const error = await this.#tryStep(step)
    if (error === undefined) return
    if (!isServerError(error) || !error.code.startsWith('42')) throw unmade(step, error)
    this.skipped.push({ kind: 'key or index', name: step.object, reason: `${lacks.name} was not made` })
  }

  async #loosenChecks(table: string): Promise<readonly LoosenedCheck[]> {
    return await failing(`taking the checks off ${table}`, () =>
      this.#inTransaction(() => loosenChecks(this.#session, table)),
    )
  }

  async #tightenChecks(checks: readonly LoosenedCheck[]): Promise<void> {
    await failing('putting checks back', () =>
      this.#inTransaction(async () => {
        for (const check of checks) await this.#tightenCheck(check)
      }),
    )
  }

  async #tightenCheck(check: LoosenedCheck): Promise<void> {
    if (await hasCheck(this.#session, check)) return
    const step = {
      phase: 'after',
      object: `CHECK CONSTRAINT ${check.table} ${check.name}`,
      sql: addCheck(check),
    } as const
    const error = await this.#tryStep(step)
    if (error === undefined) return
    if (!isServerError(error) || !CHECK_REFUSALS.includes(error.code)) throw unmade(step, error)
    const refused = await this.#tryStep({ ...step, sql: `${step.sql} NOT VALID` })
    if (refused !== undefined) throw unmade(step, refused)
    this.skipped.push({ kind: 'check', name: step.object, reason: 'rows break it; made NOT VALID' })
  }

  async #runRightsStep(step: DdlStep): Promise<void> {
    const error = await this.#tryStep(step)
    if (error === undefined) return
    const reason = rightsReason(error)
    if (reason === undefined) throw unmade(step, error)
    this.skipped.push({ kind: 'owner, grant or policy', name: step.object, reason })
  }

  /**
   * Rows may break a key that the source calls valid: written while its triggers were off (F20), or of two moments,
   * where a table's past cannot be told as finely as the other's. They are the hospital's rows all the same; the key is
   * then made for the rows to come, as NOT VALID, or not at all where the server cannot (on partitioned tables, before
   * 18), and this is reported.
   */
  async #runForeignKeyStep(step: DdlStep): Promise<void> {
    const error = await this.#tryStep(step)
    if (error === undefined) return
    if (isServerError(error) && error.code === INVALID_FOREIGN_KEY) {
      this.skipped.push({ kind: 'foreign key', name: step.object, reason: 'the key that it refers to was not made' })
      return
    }
    if (!isServerError(error) || error.code !== FOREIGN_KEY_VIOLATION) throw unmade(step, error)
    const unproved = `${step.sql.trimEnd().replace(/;$/, '')} NOT VALID`
    const refused = await this.#tryStep({ ...step, sql: unproved })
    if (refused !== undefined && !isServerError(refused)) throw unmade(step, refused)
    const made = refused === undefined ? 'made NOT VALID' : 'not made: this server has no NOT VALID key here'
    this.skipped.push({ kind: 'foreign key', name: step.object, reason: `rows break it; ${made}` })
  }

  /** @returns the error that undid the step, if any */
  async #tryStep(step: DdlStep): Promise<unknown> {
    await this.#session.query('SAVEPOINT step')
    try {
      await this.#session.query(step.sql)
      await this.#session.query('RELEASE SAVEPOINT step')
      return undefined
    } catch (error) {
      await this.#session.query('ROLLBACK TO SAVEPOINT step').catch(() => {})
      return error
    }
  }

  /** Views before those that read them. A view that cannot be computed leaves every table as it is, and is reported. */
  async #refreshViews(): Promise<void> {
    for (const view of await this.#session.query(VIEWS_IN_ORDER)) {
      try {
        await this.#session.query(`REFRESH MATERIALIZED VIEW ${view.sql_name}`)
      } catch (error) {
        if (!isServerError(error)) throw error
        this.skipped.push({
          kind: 'materialized view',
          name: view.name ?? '',
          reason: `it could not be refreshed (SQLSTATE ${error.code})`,
        })
      }
    }
  }
}

function unmade({ object }: DdlStep, error: unknown): Error {
  return toPostgresFailure(error, { doing: `making ${object}`, side: 'target' })
}

async function failing<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toPostgresFailure(error, { doing, side: 'target' })
  }
}

function rightsReason(error: unknown): string | undefined {
  if (!isServerError(error)) return undefined
  if (error.code === '42704') return 'a role it names does not exist on the target'
  if (error.code === '42501' || error.code === '0LP01') return 'the role that rebuilds may not give it'
  return undefined
}

/** Anything a user made: the rebuild would stumble over it, or mix with it. */
function findObjects(session: Session) {
  const relation = 'pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace'
  return session.query(`
    SELECT 'table, view or sequence' AS kind, ${shownName('n.nspname', 'c.relname')} AS name FROM ${relation}
      WHERE ${USER_SCHEMA} AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
        AND NOT ${inExtension('pg_class', 'c.oid')}
    UNION ALL
    SELECT 'function', ${shownName('n.nspname', 'p.proname')} FROM pg_catalog.pg_proc p
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      WHERE ${USER_SCHEMA} AND NOT ${inExtension('pg_proc', 'p.oid')}
    UNION ALL
    SELECT 'type', ${shownName('n.nspname', 't.typname')} FROM pg_catalog.pg_type t
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
      WHERE ${USER_SCHEMA} AND t.typelem = 0 AND t.typrelid = 0 AND NOT ${inExtension('pg_type', 't.oid')}
    UNION ALL
    SELECT 'schema', quote_ident(n.nspname) FROM pg_catalog.pg_namespace n
      WHERE ${USER_SCHEMA} AND n.nspname <> 'public' AND NOT ${inExtension('pg_namespace', 'n.oid')}
    ORDER BY name LIMIT 3`)
}

const VIEWS_IN_ORDER = `
  WITH RECURSIVE reads(view, read) AS (
    SELECT r.ev_class, d.refobjid FROM pg_catalog.pg_rewrite r
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> r.ev_class),
  depth(view, levels) AS (
    SELECT c.oid, 0 FROM pg_catalog.pg_class c WHERE c.relkind IN ('v', 'm')
    UNION
    SELECT reads.view, depth.levels + 1 FROM depth JOIN reads ON reads.read = depth.view WHERE depth.levels < 1000)
  SELECT ${shownName('n.nspname', 'c.relname')} AS name, ${statementName('n.nspname', 'c.relname')} AS sql_name
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'm' AND ${USER_SCHEMA} AND NOT ${inExtension('pg_class', 'c.oid')}
  ORDER BY (SELECT max(levels) FROM depth WHERE depth.view = c.oid), 1`
