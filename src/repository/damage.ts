/**
 * Does a failure say that what is stored is not what was stored? Anything else (an unreachable store, a missing right)
 * says nothing of that. Asked wherever one damaged object must not stand in the way of the others.
 */
import { Failure, type FailureCode } from '../errors.ts'

const DAMAGE: ReadonlySet<FailureCode> = new Set<FailureCode>([
  'repository-damaged',
  'repository-format',
  'object-missing',
  'signature-refused',
  'history-rewritten',
])

export function isDamage(error: unknown): error is Failure {
  return error instanceof Failure && DAMAGE.has(error.code)
}
