/**
 * A SQL Server database to rebuild into. It must be empty, and must not be the source (I8, F19).
 *
 * Steps run in one transaction; CREATE and ALTER take part in it. A constraint that the source's own rows break is made
 * without looking at them (WITH NOCHECK: the server then does not trust it) and listed in `skipped`.
 */
import type { ConnectionSettings, DdlStep, NotCaptured, SequenceInfo, SourceIdentity, Target } from '../contract.ts'
import { isSameDatabase } from '../identity.ts'
import { isSource, notEmpty, otherKind } from '../unusable-target.ts'
import { connect, type Session } from './connect.ts'
import { CONSTRAINT_VIOLATED, errorNumber, SNAPSHOT_OFF, serverFailure, toSqlServerFailure } from './failures.ts'
import { readIdentity, SNAPSHOT_STATE } from './identity.ts'
import { setSequence } from './sequences.ts'
import { tableOfStep, tablesOfForeignKey, withoutLooking } from './steps.ts'
import { clearDatabase, findObjects, readMark, setMark } from './target-mark.ts'

const COPY_COUNTS = 'A restored copy of the source under its own name counts as the source.'

/** @throws source-unreachable, source-login-refused, source-not-found */
export async function openSqlServerTarget(settings: ConnectionSettings): Promise<Target> {
  return new SqlServerTarget(await connect(settings, 'target'))
}

class SqlServerTarget implements Target {
  readonly skipped: NotCaptured[] = []
  readonly #session: Session

  constructor(session: Session) {
    this.#session = session
  }

  identify(): Promise<SourceIdentity> {
    return failing('identifying the target', () => readIdentity(this.#session))
  }

  async assertUsable(source: SourceIdentity): Promise<void> {
    const target = await this.identify()
    if (source.engine !== target.engine) throw otherKind(source, 'SQL Server')
    if (isSameDatabase(source, target)) throw isSource(source, COPY_COUNTS)
    const found = await failing('looking whether the target is empty', () => findObjects(this.#session))
    if (found.length > 0) throw notEmpty(target, found, 'CREATE DATABASE')
    await this.#assertReadable()
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

  async runSteps(steps: readonly DdlStep[]): Promise<void> {
    await this.#session.query('BEGIN TRANSACTION')
    try {
      for (const step of steps) {
        await failing(`making ${step.object}`, () => this.#runStep(step))
      }
      await failing('rebuilding the schema', () => this.#session.query('COMMIT TRANSACTION'))
    } catch (error) {
      // Some errors have rolled back already; when the connection is gone, the server does so by itself.
      await this.#session.query('IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION').catch(() => {})
      throw error
    }
  }

  tableOf(step: DdlStep): string | null {
    return tableOfStep(step)
  }

  tablesOfForeignKey(step: DdlStep): readonly string[] | null {
    return tablesOfForeignKey(step)
  }

  async setSequences(sequences: readonly SequenceInfo[]): Promise<void> {
    for (const sequence of sequences) {
      await failing(`setting ${sequence.name}`, () => setSequence(this.#session, sequence))
    }
  }

  /** Views hold no rows of their own: their indexes are listed as not carried. */
  async refreshViews(): Promise<void> {}

  async gatherStatistics(): Promise<void> {
    await failing('gathering statistics', async () => {
      const tables = await this.#session.query(
        'SELECT s.name AS schema_name, t.name AS name FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id',
      )
      if (tables.length > 0) await this.#session.query('EXEC sys.sp_updatestats')
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]()
  }

  /** What was rebuilt is read as of one moment to be proved: better known now than when all rows are there. */
  async #assertReadable(): Promise<void> {
    const doing = 'looking whether the target can be read to be proved'
    const [row] = await failing(doing, () => this.#session.query(SNAPSHOT_STATE))
    if (row?.state === '0') throw serverFailure(SNAPSHOT_OFF, { doing, side: 'target' })
  }

  async #runStep(step: DdlStep): Promise<void> {
    try {
      await this.#session.query(step.sql)
    } catch (error) {
      const unchecked = withoutLooking(step)
      if (errorNumber(error) !== CONSTRAINT_VIOLATED || unchecked === null) throw error
      await this.#session.query('IF @@TRANCOUNT = 0 BEGIN TRANSACTION')
      await this.#session.query(unchecked)
      this.skipped.push({ kind: 'constraint', name: step.object, reason: 'rows break it; made WITH NOCHECK' })
    }
  }
}

async function failing<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toSqlServerFailure(error, { doing, side: 'target' })
  }
}
