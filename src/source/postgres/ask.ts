/**
 * Questions of the configuration, put to a database as of one moment: the counts and look-ups by which a ward would notice
 * that a copy is not the original. What they answer may be patients, so that no more than counts and digests leaves here.
 */
import { createHmac } from 'node:crypto'
import { Failure } from '../../errors.ts'
import type { ConnectionSettings } from '../contract.ts'
import type { Answer, Question } from '../scratch-contract.ts'
import { connect, type Row, type Session } from './connect.ts'

const STATEMENT_TIMEOUT_MS = 60_000

/** @throws source-unreachable, source-login-refused, setting-not-pinned */
export async function askPostgres(
  settings: ConnectionSettings,
  questions: readonly Question[],
  { salt, nowMs, signal }: { readonly salt: Uint8Array; readonly nowMs: () => number; readonly signal: AbortSignal },
): Promise<Answer[]> {
  await using session = await connect(settings, 'read')
  const stop = () => session.destroy()
  signal.addEventListener('abort', stop, { once: true })
  try {
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    await session.query(`SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS}`)
    const answers: Answer[] = []
    for (const question of questions) {
      signal.throwIfAborted()
      answers.push(await ask(session, question, salt, nowMs))
    }
    return answers
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** One question that fails leaves the others their answers. */
async function ask(session: Session, { name, sql }: Question, salt: Uint8Array, nowMs: () => number): Promise<Answer> {
  const startedMs = nowMs()
  const common = () => ({ name, ms: nowMs() - startedMs })
  await session.query('SAVEPOINT question')
  try {
    const rows = await session.query(sql)
    await session.query('RELEASE SAVEPOINT question')
    return { ...common(), rows: rows.length, number: singleNumber(rows), digest: digestOf(rows, salt), failure: null }
  } catch (error) {
    await session.query('ROLLBACK TO SAVEPOINT question')
    return { ...common(), rows: 0, number: null, digest: '', failure: causeOf(error) }
  }
}

function singleNumber(rows: readonly Row[]): string | null {
  const [first, ...others] = rows
  if (first === undefined || others.length > 0) return null
  const fields = Object.values(first)
  const [field] = fields
  return fields.length === 1 && typeof field === 'string' && /^-?\d{1,18}$/.test(field) ? field : null
}

function digestOf(rows: readonly Row[], salt: Uint8Array): string {
  const lines = rows.map((row) => JSON.stringify(Object.entries(row))).sort()
  return createHmac('sha256', salt).update(lines.join('\n')).digest('hex')
}

function causeOf(error: unknown): string {
  if (error instanceof Failure) return error.code
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^[0-9A-Z]{5}$/.test(code) ? `SQLSTATE ${code}` : 'connection'
}
