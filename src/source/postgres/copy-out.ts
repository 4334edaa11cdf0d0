/**
 * COPY … TO STDOUT as the bytes of its lines.
 *
 * The server sends each row as a message of its own (`d`, four bytes of length, the line), so reading a large table is
 * above all taking the headers out. It is done in place: the socket reads into a room (receiving-socket.ts), and the lines
 * of what came are moved together at its front; neither is an object made for a row, nor memory taken for a read.
 *
 *     room     line line li│d len ne d len line d l│ …
 *              yielded soon │what the last read brought│ room for the next
 *
 * While the COPY runs, the driver's own reader of the socket stands aside; it gets back whatever is not ours, beginning
 * with the first byte of an error or of what follows the end. A room that is full is not read into until its lines were
 * taken: that is what makes the server wait for a slow reader. The rows that the server says it sent are compared with
 * the messages that came.
 */
import type { Duplex } from 'node:stream'
import type { Connection, Submittable } from 'pg'
import { Failure } from '../../errors.ts'
import { type Taker, takeOver } from './receiving-socket.ts'

/** Type and length. */
const HEADER_BYTES = 5
const COPY_DATA = 0x64
const COPY_DONE = 0x63
/** CopyOutResponse, ParameterStatus, NoticeResponse, NotificationResponse: may come at any time, and hold no rows. */
const PASSED_OVER = new Set([0x48, 0x53, 0x4e, 0x41])

/** Rooms begin small, for small answers, and are as large as this at most. */
const ROOM_BYTES_MIN = 16 * 1024
const ROOM_BYTES_MAX = 512 * 1024
/** Lines are worth a turn of the reader from here on; fewer wait for the end. */
const YIELD_BYTES = 128 * 1024
/** With less left than this, a room is full. */
const READ_BYTES_MIN = 16 * 1024

/** For a read that nobody was to begin: its bytes are copied to where they belong. */
const SPARE = Buffer.allocUnsafeSlow(READ_BYTES_MIN)

type SocketReader = (chunk: Buffer) => void

export class CopyOut implements Submittable, Taker {
  readonly #statement: string
  #socket: Duplex | undefined
  /** The driver's, while it stands aside; undefined while the socket itself knows whom it reads for. */
  #driverReader: SocketReader | undefined
  #wake: () => void = () => {}
  readonly #ended = Promise.withResolvers<void>()
  #error: Error | undefined
  #isDone = false
  #isPaused = false
  /** What is being filled, and what was yielded last. */
  #room = Buffer.allocUnsafeSlow(ROOM_BYTES_MIN)
  #other = Buffer.alloc(0)
  /** Lines stand before the first; behind it, up to the second, a header that the end of a read cut in two. */
  #linesEnd = 0
  #end = 0
  /** Of the message that the last read ended in: its kind, and how many bytes of it are still to come. */
  #inRow = false
  #bytesLeft = 0
  #rowsSeen = 0
  #rowsSent = -1

  constructor(statement: string) {
    this.#statement = statement
    this.#ended.promise.catch(() => {})
  }

  /** To be consumed once, after the client was given the query. */
  async *lines(): AsyncGenerator<Buffer, void, undefined> {
    for await (const view of this.views()) yield Buffer.from(view)
  }

  /** As `lines`; what it gives is gone when the next is asked for. */
  async *views(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      if (this.#error) throw this.#error
      if (!this.#isDone && this.#linesEnd < YIELD_BYTES) await new Promise<void>((resolve) => this.#sleep(resolve))
      else if (this.#linesEnd > 0) yield this.#takeLines()
      else if (this.#isDone) break
    }
    await this.#ended.promise
    if (this.#rowsSent === this.#rowsSeen) return
    throw new Failure('source-failed', `the server sent ${this.#rowsSent} rows, and ${this.#rowsSeen} arrived`)
  }

  // What follows is called by the driver.

  submit(connection: Connection): void {
    const socket: Duplex = connection.stream
    this.#socket = socket
    if (!takeOver(socket, this)) {
      const [reader] = socket.listeners('data') as SocketReader[]
      if (reader) socket.removeListener('data', reader)
      this.#driverReader = reader
      socket.on('data', this.#onData)
    }
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

  // What follows is called by the socket.

  room(): Uint8Array {
    const isFull = this.#room.length - this.#end < READ_BYTES_MIN
    if (isFull && this.#room.length < ROOM_BYTES_MAX) this.#grow(2 * this.#room.length)
    return isFull && this.#room.length - this.#end < READ_BYTES_MIN ? SPARE : this.#room.subarray(this.#end)
  }

  /** Rooms may have been exchanged since the socket was given one: then the bytes are copied. */
  received(bytes: Uint8Array): boolean {
    const isInPlace = bytes.buffer === this.#room.buffer && bytes.byteOffset === this.#end
    if (!isInPlace) {
      if (this.#room.length - this.#end < bytes.length) this.#grow(this.#end + bytes.length)
      this.#room.set(bytes, this.#end)
    }
    this.#parse(this.#end + bytes.length)
    if (this.#linesEnd >= YIELD_BYTES || this.#isDone) this.#wake()
    this.#isPaused = !this.#isDone && ROOM_BYTES_MAX - this.#end < READ_BYTES_MIN
    return !this.#isPaused
  }

  readonly #onData = (chunk: Buffer) => {
    if (!this.received(chunk) && !this.#isDone) this.#socket?.pause()
  }

  #sleep(resolve: () => void): void {
    this.#wake = resolve
    if (this.#error) resolve()
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(bytes)
    this.#room.copy(larger, 0, 0, this.#end)
    this.#room = larger
  }

  #takeLines(): Buffer {
    const full = this.#room
    const lines = full.subarray(0, this.#linesEnd)
    if (this.#other.length < full.length) this.#other = Buffer.allocUnsafeSlow(full.length)
    full.copy(this.#other, 0, this.#linesEnd, this.#end)
    this.#room = this.#other
    this.#other = full
    this.#end -= this.#linesEnd
    this.#linesEnd = 0
    if (this.#isPaused) this.#socket?.resume()
    this.#isPaused = false
    return lines
  }

  /** Moves the lines between what was known before and `end` to the end of those that stand there already. */
  #parse(end: number): void {
    const room = this.#room
    let at = this.#linesEnd
    let out = this.#linesEnd
    for (;;) {
      const taken = Math.min(this.#bytesLeft, end - at)
      if (this.#inRow && taken > 0) {
        if (out !== at) room.copyWithin(out, at, at + taken)
        out += taken
      }
      at += taken
      this.#bytesLeft -= taken
      if (end - at < HEADER_BYTES) break
      const kind = room[at] ?? 0
      if (kind !== COPY_DATA && !PASSED_OVER.has(kind)) {
        this.#linesEnd = out
        this.#end = out
        this.#giveBack(room.subarray(kind === COPY_DONE ? at + HEADER_BYTES : at, end))
        return
      }
      this.#inRow = kind === COPY_DATA
      if (this.#inRow) this.#rowsSeen += 1
      this.#bytesLeft = room.readUInt32BE(at + 1) - (HEADER_BYTES - 1)
      at += HEADER_BYTES
    }
    room.copyWithin(out, at, end)
    this.#linesEnd = out
    this.#end = out + end - at
  }

  /**
   * The end of the rows, or an error: from here on the socket is the driver's again. CopyDone itself has no meaning to it;
   * `rest`, what comes after, has.
   */
  #giveBack(rest: Buffer): void {
    const socket = this.#socket
    if (!socket || this.#isDone) throw new Failure('defect', 'a COPY gave the socket back twice')
    this.#isDone = true
    takeOver(socket, null)
    socket.removeListener('data', this.#onData)
    if (this.#driverReader) socket.on('data', this.#driverReader)
    if (rest.length > 0) socket.emit('data', Buffer.from(rest))
    socket.resume()
  }
}
