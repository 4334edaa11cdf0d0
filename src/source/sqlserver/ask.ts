/**
 * Questions of the configuration, put to a database as of one moment. What they answer may be patients, so that no more
 * than counts and digests leaves here. SQL Server has no transaction that only reads: what a question writes is rolled back.
 */
import { createHmac } from 'node:crypto'
import { Request } from 'tedious'
import { Failure } from '../../errors.ts'
import type { ConnectionSettings } from '../contract.ts'
import type { Answer, Question } from '../scratch-contract.ts'
import { connect, type Session } from './connect.ts'
import { errorNumber, toSqlServerFailure } from './failures.ts'

const STATEMENT_TIMEOUT_MS = 60_000

/** By name and value, in the order of the columns; a row's last result counts. */
type AnswerRow = readonly (readonly [string, unknown])[]

/** @throws source-unreachable, source-login-refused */
export async function askSqlServer(
  settings: ConnectionSettings,
  questions: readonly Question[],
  { salt, nowMs, signal }: { readonly salt: Uint8Array; readonly nowMs: () => number; readonly signal: AbortSignal },
): Promise<Answer[]> {
  await using session = await connect(settings, 'source', STATEMENT_TIMEOUT_MS)
  const stop = () => session.destroy()
  signal.addEventListener('abort', stop, { once: true })
  try {
    await begin(session)
    const answers: Answer[] = []
    for (const question of questions) {
      signal.throwIfAborted()
      answers.push(await ask(session, question, salt, nowMs))
    }
    await session.query(ROLLBACK)
    return answers
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw toSqlServerFailure(error, { doing: 'asking the questions of a drill', side: 'source' })
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

const ROLLBACK = 'IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION'

async function begin(session: Session): Promise<void> {
  await session.query('SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION')
}

/** One question that fails leaves the others their answers; as of another moment, because its error ends transactions. */
async function ask(session: Session, { name, sql }: Question, salt: Uint8Array, nowMs: () => number): Promise<Answer> {
  const startedMs = nowMs()
  const common = () => ({ name, ms: nowMs() - startedMs })
  try {
    const rows = await answerRows(session, sql)
    const [state] = await session.query('SELECT @@TRANCOUNT AS open_ones')
    if (state?.open_ones !== '1') throw new Failure('source-failed', 'the question ended the transaction')
    return { ...common(), rows: rows.length, number: singleNumber(rows), digest: digestOf(rows, salt), failure: null }
  } catch (error) {
    const answer = { ...common(), rows: 0, number: null, digest: '', failure: causeOf(error) }
    await session.query(ROLLBACK)
    await begin(session)
    return answer
  }
}

async function answerRows(session: Session, sql: string): Promise<AnswerRow[]> {
  let rows: AnswerRow[] = []
  await new Promise<void>((resolve, reject) => {
    const request = new Request(sql, (error) => (error ? reject(error) : resolve()))
    request.on('columnMetadata', () => {
      rows = []
    })
    request.on(
      'row',
      (columns: readonly { readonly metadata: { readonly colName: string }; readonly value: unknown }[]) =>
        rows.push(columns.map(({ metadata, value }) => [metadata.colName, plain(value)])),
    )
    session.connection.execSqlBatch(request)
  })
  return rows
}

/** Of what the driver makes Dates of, everything that it keeps; numbers of more than 15 digits are not told apart. */
function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('hex')
  if (!(value instanceof Date)) return value
  const fraction = 'nanosecondsDelta' in value ? Number(value.nanosecondsDelta) : 0
  return `${value.toISOString()} ${fraction}`
}

function singleNumber(rows: readonly AnswerRow[]): string | null {
  const [first, ...others] = rows
  if (first === undefined || others.length > 0 || first.length !== 1) return null
  const field = String(first[0]![1])
  return /^-?\d{1,18}$/.test(field) ? field : null
}

function digestOf(rows: readonly AnswerRow[], salt: Uint8Array): string {
  const lines = rows.map((row) => JSON.stringify(row)).sort()
  return createHmac('sha256', salt).update(lines.join('\n')).digest('hex')
}

function causeOf(error: unknown): string {
  if (error instanceof Failure) return error.code
  const number = errorNumber(error)
  return number === undefined ? 'connection' : `error ${number}`
}
