/** Servers that say nothing: a connection that froze looks like one on which nothing happens (F31). */
import { Failure } from '../errors.ts'

/** A question on a connection that froze would never be answered. @throws source-unreachable behind `silenceMaxMs` */
export async function withinSilence<T>(answer: Promise<T>, silenceMaxMs: number): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(silent(silenceMaxMs)), silenceMaxMs)
  try {
    // Who comes too late is not listened to any more.
    answer.catch(() => {})
    return await Promise.race([answer, promise])
  } finally {
    clearTimeout(timer)
  }
}

export function silent(ms: number): Failure {
  return new Failure('source-unreachable', `the server gave no sign of life on the stream of changes for ${ms} ms`, {
    hints: ['Check the network between, and whether the server is up.'],
  })
}
