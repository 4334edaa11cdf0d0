/**
 * A socket that reads into memory which whoever is reading gives it. An ordinary one takes new memory for every read: of
 * a large table, a gigabyte of it, and the collector that gives it back costs a sixth of a base's processor time.
 *
 * As long as nobody has taken it over, it behaves as any other: each read is a `data` event, with a copy of its own. TLS
 * reads past it; its bytes are then the TLS socket's affair.
 */
import { Socket } from 'node:net'

/** Whom a socket reads for. */
export interface Taker {
  /** Where the next bytes may be written; at least one byte. It is asked for long before they come. */
  room(): Uint8Array
  /** Bytes that have come, in the room that was given, or elsewhere; gone on return. @returns whether to go on reading */
  received(bytes: Uint8Array): boolean
}

/** Of reads for nobody: what the driver sends and gets beside COPY is small. */
const SMALL_READ_BYTES = 16 * 1024

interface TakenOver {
  taker: Taker | null
}

const takers = new WeakMap<object, TakenOver>()

export function receivingSocket(): Socket {
  const state: TakenOver = { taker: null }
  const own = Buffer.allocUnsafeSlow(SMALL_READ_BYTES)
  const socket: Socket = new Socket({
    onread: {
      buffer: () => state.taker?.room() ?? own,
      callback: (bytes, where) => {
        const read = where.subarray(0, bytes)
        if (state.taker) return state.taker.received(read)
        socket.emit('data', Buffer.from(read))
        return true
      },
    },
  })
  takers.set(socket, state)
  return socket
}

/** @returns false when the socket is not of this kind */
export function takeOver(socket: object, taker: Taker | null): boolean {
  const state = takers.get(socket)
  if (state) state.taker = taker
  return state !== undefined
}
