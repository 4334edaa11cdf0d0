/**
 * One session for questions, opened when the first is asked and again after it was lost; one question at a time. Not the
 * session of the source: there somebody may be inside a transaction, with a snapshot that is older than the question.
 */
import type { ConnectionSettings } from '../../contract.ts'
import { connect, type Session } from '../connect.ts'
import { toPostgresFailure } from '../failures.ts'
import { despiteVanishing } from '../vanished.ts'

export class KeptSession implements AsyncDisposable {
  readonly #connection: ConnectionSettings
  #session: Session | null = null
  #last: Promise<unknown> = Promise.resolve()

  constructor(connection: ConnectionSettings) {
    this.#connection = connection
  }

  /** What `work` fails with is told as a Failure about `doing`. It may be asked again. @see despiteVanishing */
  ask<T>(doing: string, work: (session: Session) => Promise<T>): Promise<T> {
    const answer = this.#last.then(() => this.#ask(doing, work))
    this.#last = answer.catch(() => {})
    return answer
  }

  async #ask<T>(doing: string, work: (session: Session) => Promise<T>): Promise<T> {
    try {
      return await despiteVanishing(async () => await work(await this.#open()))
    } catch (error) {
      throw toPostgresFailure(error, { doing, side: 'source' })
    }
  }

  async #open(): Promise<Session> {
    if (this.#session !== null) return this.#session
    const session = await connect(this.#connection, 'read')
    session.client.once('end', () => {
      if (this.#session === session) this.#session = null
    })
    this.#session = session
    return session
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last
    await this.#session?.[Symbol.asyncDispose]()
  }
}
