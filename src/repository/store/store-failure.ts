/**
 * The failures that every kind of store raises in the same words, so that whoever reads a log at night meets one
 * sentence for one trouble.
 */
import { Failure } from '../../errors.ts'

export function objectMissing(url: string, key: string, cause?: unknown): Failure {
  return new Failure('object-missing', `object ${key} is not in ${url}`, {
    hints: ['Run `chartkeep check` to see which snapshots need it.'],
    context: { key },
    cause,
  })
}

export function objectExists(url: string, key: string, cause?: unknown): Failure {
  return new Failure('object-exists', `object ${key} is already in ${url}; nothing was overwritten`, {
    context: { key },
    cause,
  })
}

/** The object is shorter than what its index says it holds. */
export function objectTooShort(key: string, wanted: { end: number; bytes: number }): Failure {
  return new Failure('repository-damaged', `object ${key} ends at byte ${wanted.bytes}, before ${wanted.end}`, {
    hints: ['Run `chartkeep check` to see what is affected.'],
    context: { key, end: wanted.end, bytes: wanted.bytes },
  })
}
