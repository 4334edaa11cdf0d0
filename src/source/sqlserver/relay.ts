/**
 * Tables of one transaction, read from other threads.
 *
 * SQL Server lends its snapshot to nobody: what a transaction sees, only its own session can read. So one session reads,
 * table after table, and passes lines on to whichever thread asked for them:
 *
 *     reader ──── read table, answer on channel c ────→ keeper        (on the read's own channel)
 *     reader ←── taken · lines · lines · … · end|failed ── keeper     (on c)
 *     reader ──── more · more · … or stop ────────────→ keeper        (on c; a credit for each piece of lines)
 *
 * Channels reach all threads of this process and nothing else. At most WINDOW pieces are on their way.
 */
import { randomBytes } from 'node:crypto'
import { BroadcastChannel } from 'node:worker_threads'
import { Failure, type FailureRecord, fromFailureRecord, toFailureRecord } from '../../errors.ts'

type ToKeeper = { readonly kind: 'read'; readonly table: string; readonly answerOn: string }
type FromReader = { readonly kind: 'more' } | { readonly kind: 'stop' }
type ToReader =
  | { readonly kind: 'taken' }
  | { readonly kind: 'lines'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  | { readonly kind: 'failed'; readonly failure: FailureRecord }

const WINDOW = 4
/** A keeper that is there answers at once: it only notes the question. */
const ANSWER_MS = 10_000

export interface Relay extends AsyncDisposable {
  /** What `receiveTable` is given. */
  readonly name: string
}

/** Answers until disposal; readers that wait then fail. `linesOf` is asked for one table at a time. */
export function relayTables(linesOf: (table: string) => AsyncIterable<Uint8Array>): Relay {
  const name = `chartkeep-read-${randomBytes(12).toString('base64url')}`
  const questions = new BroadcastChannel(name)
  const open = new Set<Sender>()
  let turn: Promise<void> = Promise.resolve()
  questions.onmessage = (event) => {
    const { table, answerOn } = (event as { readonly data: ToKeeper }).data
    const sender = new Sender(answerOn)
    open.add(sender)
    turn = turn.then(async () => {
      await sender.send(() => linesOf(table))
      open.delete(sender)
    })
  }
  return {
    name,
    async [Symbol.asyncDispose]() {
      questions.close()
      for (const sender of open) sender.end(readIsOver())
      await turn
    },
  }
}

/** One table on its way to one reader. */
class Sender {
  readonly #channel: BroadcastChannel
  #credits = WINDOW
  #ended = false
  #wake = () => {}

  constructor(name: string) {
    this.#channel = new BroadcastChannel(name)
    this.#channel.onmessage = (event) => this.#hear((event as { readonly data: FromReader }).data)
    this.#tell({ kind: 'taken' })
  }

  async send(lines: () => AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#ended) return
    try {
      for await (const bytes of lines()) {
        while (this.#credits === 0 && !this.#ended) await new Promise<void>((resolve) => (this.#wake = resolve))
        if (this.#ended) return
        this.#credits -= 1
        this.#tell({ kind: 'lines', bytes })
      }
      this.#close({ kind: 'end' })
    } catch (error) {
      this.end(error)
    }
  }

  end(error: unknown): void {
    this.#close({ kind: 'failed', failure: toFailureRecord(error) })
  }

  #hear(message: FromReader): void {
    if (message.kind === 'more') this.#credits += 1
    else this.#finish()
    this.#wake()
  }

  #close(last: ToReader): void {
    if (this.#ended) return
    this.#tell(last)
    this.#finish()
    this.#wake()
  }

  #finish(): void {
    this.#ended = true
    this.#channel.close()
  }

  #tell(message: ToReader): void {
    this.#channel.postMessage(message)
  }
}

/** Lines of one table, from whatever thread. @throws what the keeper failed with; schema-changed when it is gone */
export async function* receiveTable(name: string, table: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  signal.throwIfAborted()
  const answerOn = `${name}-${randomBytes(12).toString('base64url')}`
  const inbox = new Inbox(answerOn)
  const stop = () => inbox.fail(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    const question = new BroadcastChannel(name)
    question.postMessage({ kind: 'read', table, answerOn } satisfies ToKeeper)
    question.close()
    for (;;) {
      const message = await inbox.next()
      if (message.kind === 'end') return
      if (message.kind === 'failed') throw fromFailureRecord(message.failure)
      if (message.kind !== 'lines') continue
      yield message.bytes
      inbox.tell({ kind: 'more' })
    }
  } finally {
    signal.removeEventListener('abort', stop)
    inbox.close()
  }
}

class Inbox {
  readonly #channel: BroadcastChannel
  readonly #waiting: ToReader[] = []
  readonly #deadline: NodeJS.Timeout
  #failure: { readonly error: unknown } | null = null
  #ended = false
  #wake = () => {}

  constructor(name: string) {
    this.#channel = new BroadcastChannel(name)
    this.#deadline = setTimeout(() => this.fail(readIsOver()), ANSWER_MS)
    this.#channel.onmessage = (event) => {
      const message = (event as { readonly data: ToReader }).data
      clearTimeout(this.#deadline)
      if (message.kind === 'end' || message.kind === 'failed') this.#ended = true
      this.#waiting.push(message)
      this.#wake()
    }
  }

  async next(): Promise<ToReader> {
    for (;;) {
      if (this.#failure) throw this.#failure.error
      const message = this.#waiting.shift()
      if (message) return message
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#wake()
  }

  tell(message: FromReader): void {
    if (!this.#ended) this.#channel.postMessage(message)
  }

  /** Who is not at the end yet wants no more. */
  close(): void {
    clearTimeout(this.#deadline)
    this.tell({ kind: 'stop' })
    this.#channel.close()
  }
}

function readIsOver(): Failure {
  return new Failure('schema-changed', 'the read that this table belongs to is over', {
    hints: ['Run the command again.'],
  })
}
