/**
 * What an error of the file system means to somebody who keeps a repository. Node's message holds the path and nothing
 * of what was written; it stays the cause.
 */
import { Failure, type FailureCode } from '../../errors.ts'

const full = ['ENOSPC', 'EDQUOT']
/** May pass by itself: a share that hangs, a machine out of file handles. */
const passing = [
  'EIO',
  'ESTALE',
  'ETIMEDOUT',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENODEV',
  'ENXIO',
  'EMFILE',
  'ENFILE',
  'EBUSY',
]

export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown'
}

export function failureOfFile(error: unknown, what: { action: string; object: string }): Failure {
  const errno = systemCode(error)
  return new Failure(codeOf(errno), `cannot ${what.action} ${what.object}: the file system says ${errno}`, {
    hints: hintsOf(errno),
    context: { object: what.object, errno },
    cause: error,
  })
}

function codeOf(errno: string): FailureCode {
  if (full.includes(errno)) return 'store-full'
  return passing.includes(errno) ? 'store-unreachable' : 'store-refused'
}

function hintsOf(errno: string): string[] {
  if (errno === 'ENOSPC') return ['Free space on the file system of the repository; what is already kept is whole.']
  if (errno === 'EDQUOT') return ['Raise the quota of the user that runs chartkeep; what is already kept is whole.']
  if (errno === 'EROFS') return ['The file system is mounted read-only; the kernel log may say why.']
  if (errno === 'EACCES' || errno === 'EPERM') {
    return ['The user that runs chartkeep needs to read and write the directory and everything in it.']
  }
  return []
}
