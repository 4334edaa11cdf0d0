/**
 * COPY … FROM STDIN, fed from memory that is used again: lines are gathered into pieces, each a message of its own, and
 * while one piece is on its way to the server the other is filled. Messages need not end where rows do.
 */
import type { Duplex } from 'node:stream'
import type { Connection, Submittable } from 'pg'

/** Type and length. */
const HEADER_BYTES = 5
const COPY_DATA = 0x64
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4])
const PIECE_BYTES = 256 * 1024
const PIECES = 2

interface Piece {
  readonly bytes: Buffer
  end: number
  /** Until nobody needs its bytes any more. */
  sent: Promise<void>
}

export class CopyIn implements Submittable {
  readonly #statement: string
  #socket: Duplex | undefined
  readonly #asked = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<void>()
  #refusal: Error | null = null
  #refuse: (error: Error) => void = () => {}
  #rowsStored = 0

  constructor(statement: string) {
    this.#statement = statement
    this.#asked.promise.catch(() => {})
    this.#ended.promise.catch(() => {})
  }

  /**
   * Sends all of `lines`, after the client was given the query; what `lines` gives may be gone when the next is asked for.
   * The server may refuse a row at any time: its answer ends the sending, whatever the sender is waiting for.
   * @returns rows that the server says it stored
   */
  async send(lines: AsyncIterable<Uint8Array>): Promise<number> {
    const iterator = lines[Symbol.asyncIterator]()
    try {
      await this.#asked.promise
      const pieces = Array.from({ length: PIECES }, newPiece)
      for (;;) {
        const next = await this.#unlessRefused(iterator.next())
        if (next.done) break
        await this.#gather(next.value, pieces)
      }
      await this.#flush(pieces)
      this.#socket?.write(COPY_DONE)
      await this.#ended.promise
      return this.#rowsStored
    } catch (error) {
      // Not waited for: a reader that is stuck must not keep the refusal from being told.
      iterator.return?.().then(undefined, () => {})
      throw error
    }
  }

  // What follows is called by the driver.

  submit(connection: Connection): void {
    this.#socket = connection.stream
    connection.query(this.#statement)
  }

  handleCopyInResponse(): void {
    this.#asked.resolve()
  }

  handleError(error: Error): void {
    this.#refusal = error
    this.#refuse(error)
    this.#asked.reject(error)
    this.#ended.reject(error)
  }

  handleCommandComplete(message: { readonly text: string }): void {
    this.#rowsStored = Number(/^COPY (\d+)$/.exec(message.text)?.[1] ?? -1)
  }

  handleReadyForQuery(): void {
    this.#ended.resolve()
  }

  /** Not by Promise.race, which leaves something behind on the promise that outlives the other, for every leaf. */
  #unlessRefused<T>(work: Promise<T>): Promise<T> {
    if (this.#refusal) return Promise.reject(this.#refusal)
    return new Promise((resolve, reject) => {
      this.#refuse = reject
      work.then(resolve, reject)
    })
  }

  async #gather(lines: Uint8Array, pieces: Piece[]): Promise<void> {
    for (let at = 0; at < lines.length; ) {
      const [piece] = pieces as [Piece]
      const part = lines.subarray(at, at + piece.bytes.length - piece.end)
      piece.bytes.set(part, piece.end)
      piece.end += part.length
      at += part.length
      if (piece.end === piece.bytes.length) await this.#flush(pieces)
    }
  }

  /** Sends the piece that is being filled, and makes the other one ready. */
  async #flush(pieces: Piece[]): Promise<void> {
    const piece = pieces.shift()!
    pieces.push(piece)
    if (piece.end > HEADER_BYTES) {
      piece.bytes[0] = COPY_DATA
      piece.bytes.writeUInt32BE(piece.end - 1, 1)
      piece.sent = this.#write(piece.bytes.subarray(0, piece.end))
      piece.sent.catch(() => {})
    }
    const [next] = pieces as [Piece]
    await this.#unlessRefused(next.sent)
    next.end = HEADER_BYTES
  }

  #write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket?.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
  }
}

function newPiece(): Piece {
  return { bytes: Buffer.allocUnsafeSlow(PIECE_BYTES), end: HEADER_BYTES, sent: Promise.resolve() }
}
