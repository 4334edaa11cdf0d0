/**
 * COPY … TO STDOUT as the bytes of its lines.
 *
 * The server sends each row as a message of its own (`d`, four bytes of length, the line), so reading a large table is
 * above all taking the headers out. It is done in place: the lines of what one read of the socket brought are moved
 * together to the front of it, and that is yielded; no object is made for a row. pg-copy-streams makes several: for rows
 * of 55 bytes, receiving included, 0.40 µs of processor time a row, where this takes 0.29.
 *
 *     socket   d len line d len line d len li | ne d len line c len
 *     yielded  line line li                   | ne line
 *
 * While the COPY runs, the driver's own reader of the socket stands aside; it gets back whatever is not ours, beginning
 * with the first byte of an error or of what follows the end. Nothing is read while nobody asks: that is what makes
 * the server wait for a slow reader. The rows that the server says it sent are compared with the messages that came.
 */
import type { Duplex } from 'node:stream'
import type { Connection, Submittable } from 'pg'
import { Failure } from '../../errors.ts'

/** Type and length. */
const HEADER_BYTES = 5
const COPY_DATA = 0x64
const COPY_DONE = 0x63
/** CopyOutResponse, ParameterStatus, NoticeResponse, NotificationResponse: may come at any time, and hold no rows. */
const PASSED_OVER = new Set([0x48, 0x53, 0x4e, 0x41])

type SocketReader = (chunk: Buffer) => void

export class CopyOut implements Submittable {
  readonly #statement: string
  #socket: Duplex | undefined
  /** The driver's, while it stands aside. */
  #driverReader: SocketReader | undefined
  #wake: () => void = () => {}
  readonly #ended = Promise.withResolvers<void>()
  #error: Error | undefined
  #isDone = false
  /** Of the message that the last chunk ended in: its kind, and how many bytes of it are still to come. */
  #inRow = false
  #bytesLeft = 0
  /** A header that the end of a chunk cut in two. */
  #cut: Buffer | undefined
  #rowsSeen = 0
  #rowsSent = -1

  constructor(statement: string) {
    this.#statement = statement
    this.#ended.promise.catch(() => {})
  }

  /** To be consumed once, after the client was given the query. */
  async *lines(): AsyncGenerator<Buffer, void, undefined> {
    while (!this.#isDone) {
      if (this.#error) throw this.#error
      const chunk: Buffer | null = this.#socket?.read() ?? null
      if (chunk === null) await new Promise<void>((resolve) => this.#sleep(resolve))
      else {
        const rows = this.#take(this.#cut === undefined ? chunk : Buffer.concat([this.#cut, chunk]))
        if (rows.length > 0) yield rows
      }
    }
    await this.#ended.promise
    if (this.#rowsSent === this.#rowsSeen) return
    throw new Failure('source-failed', `the server sent ${this.#rowsSent} rows, and ${this.#rowsSeen} arrived`)
  }

  // What follows is called by the driver.

  submit(connection: Connection): void {
    const socket: Duplex = connection.stream
    const [reader] = socket.listeners('data') as SocketReader[]
    if (reader) socket.removeListener('data', reader)
    this.#driverReader = reader
    this.#socket = socket
    socket.on('readable', this.#onReadable)
    connection.query(this.#statement)
  }

  handleError(error: Error): void {
    this.#error = error
    this.#ended.reject(error)
    this.#wake()
  }

  handleCommandComplete(message: { readonly text: string }): void {
    this.#rowsSent = Number(/^COPY (\d+)$/.exec(message.text)?.[1] ?? -1)
  }

  handleReadyForQuery(): void {
    this.#ended.resolve()
    this.#wake()
  }

  readonly #onReadable = () => this.#wake()

  #sleep(resolve: () => void): void {
    this.#wake = resolve
    if (this.#error) resolve()
  }

  /** @returns the lines in `chunk`, moved to its front */
  #take(chunk: Buffer): Buffer {
    this.#cut = undefined
    let at = 0
    let out = 0
    for (;;) {
      const taken = Math.min(this.#bytesLeft, chunk.length - at)
      if (this.#inRow && taken > 0) {
        if (out !== at) chunk.copyWithin(out, at, at + taken)
        out += taken
      }
      at += taken
      this.#bytesLeft -= taken
      if (chunk.length - at < HEADER_BYTES) break
      const kind = chunk[at] ?? 0
      if (kind !== COPY_DATA && !PASSED_OVER.has(kind)) {
        this.#giveBack(chunk, at, kind)
        return chunk.subarray(0, out)
      }
      this.#inRow = kind === COPY_DATA
      if (this.#inRow) this.#rowsSeen += 1
      this.#bytesLeft = chunk.readUInt32BE(at + 1) - (HEADER_BYTES - 1)
      at += HEADER_BYTES
    }
    if (at < chunk.length) this.#cut = Buffer.from(chunk.subarray(at))
    return chunk.subarray(0, out)
  }

  /** The end of the rows, or an error: from here on the socket is the driver's again. */
  #giveBack(chunk: Buffer, at: number, kind: number): void {
    const socket = this.#socket
    const reader = this.#driverReader
    if (!socket || !reader) throw new Failure('defect', 'a COPY gave the socket back twice')
    this.#isDone = true
    socket.removeListener('readable', this.#onReadable)
    socket.on('data', reader)
    // The end has no meaning to the driver; what comes after it has.
    const rest = kind === COPY_DONE ? at + HEADER_BYTES : at
    if (rest < chunk.length) reader(Buffer.from(chunk.subarray(rest)))
    socket.resume()
  }
}
