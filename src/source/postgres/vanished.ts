/**
 * Questions about the catalogs while others drop and make objects. PostgreSQL's own functions look at the catalogs as they
 * are now, not as the question's snapshot sees them, and raise an internal error (XX000, `cache lookup failed`, `could not
 * open relation with OID`) for what was dropped in between: asked again, the question no longer sees it.
 */
import { Failure } from '../../errors.ts'
import { isServerError } from './failures.ts'

const INTERNAL_ERROR = 'XX000'
const ATTEMPTS_MAX = 4

/** @param work a question that may be asked again, in a transaction of its own or in none */
export async function despiteVanishing<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !isInternal(error)) throw error
    }
  }
}

function isInternal(error: unknown): boolean {
  if (error instanceof Failure) return error.context.sqlstate === INTERNAL_ERROR
  return isServerError(error) && error.code === INTERNAL_ERROR
}
