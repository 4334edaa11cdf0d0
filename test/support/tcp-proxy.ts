/**
 * A TCP proxy that breaks connections at planned bytes, for S3 and PostgreSQL alike.
 *
 *     close     both sides are told that the connection has ended (FIN)
 *     reset     both sides are torn down (RST), as by a firewall
 *     freeze    nothing goes on in either direction, and nobody is told: half-open
 *     hold      bytes of this direction wait for `release`, then go on
 *
 * `up` is from client to server. A fault fires when exactly `afterBytes` bytes of its direction have been passed on;
 * with 0, before the first.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'

export interface ConnectionFault {
  /** Which connection, counted from 1 in the order of arrival. */
  readonly connection: number
  readonly direction: 'up' | 'down'
  readonly afterBytes: number
  readonly action: 'close' | 'reset' | 'freeze' | 'hold'
}

export interface ProxyTarget {
  readonly host?: string
  readonly port: number
}

export async function startTcpProxy(target: ProxyTarget, faults: readonly ConnectionFault[] = []): Promise<TcpProxy> {
  const proxy = new TcpProxy(target, faults)
  await proxy.listen()
  return proxy
}

export class TcpProxy {
  readonly #target: ProxyTarget
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #fired = new Set<ConnectionFault>()
  readonly #released = Promise.withResolvers<void>()
  #faults: readonly ConnectionFault[]
  #connections = 0

  constructor(target: ProxyTarget, faults: readonly ConnectionFault[]) {
    this.#target = target
    this.#faults = faults
    // A half-open connection is one of ours to make: an end on one side is passed on by hand.
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#join(client))
  }

  get port(): number {
    const address = this.#server.address()
    if (typeof address !== 'object' || address === null) throw new Error('the proxy does not listen')
    return address.port
  }

  /** How many connections have arrived so far. */
  get connections(): number {
    return this.#connections
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  /** For connections to come: `connection` counts from those already seen. */
  plan(faults: readonly ConnectionFault[]): void {
    const seen = this.#connections
    this.#faults = [...this.#faults, ...faults.map((fault) => ({ ...fault, connection: fault.connection + seen }))]
  }

  release(): void {
    this.#released.resolve()
  }

  /** Resets every open connection, as when the network between goes away. */
  resetAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  assertAllFired(): void {
    const idle = this.#faults.filter((fault) => !this.#fired.has(fault))
    if (idle.length === 0) return
    const list = idle.map(({ action, direction, connection }) => `${action} ${direction} of connection ${connection}`)
    throw new Error(`never fired, in ${this.#connections} connections: ${list.join(', ')}`)
  }

  async close(): Promise<void> {
    this.release()
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #join(client: Socket): void {
    this.#connections += 1
    const server = connect({ host: this.#target.host ?? '127.0.0.1', port: this.#target.port, allowHalfOpen: true })
    const pair = { client, server, isFrozen: false }
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
      socket.on('close', () => this.#sockets.delete(socket))
    }
    void this.#carry(pair, 'up', this.#connections)
    void this.#carry(pair, 'down', this.#connections)
  }

  async #carry(pair: Pair, direction: 'up' | 'down', connection: number): Promise<void> {
    const [from, to] = direction === 'up' ? [pair.client, pair.server] : [pair.server, pair.client]
    const planned = this.#faults.filter((fault) => fault.connection === connection && fault.direction === direction)
    const faults = planned.toSorted((left, right) => left.afterBytes - right.afterBytes)
    let passed = 0
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        let rest = chunk
        for (let fault = faults[0]; fault && passed + rest.length > fault.afterBytes; fault = faults[0]) {
          faults.shift()
          const head = rest.subarray(0, fault.afterBytes - passed)
          await write(to, head)
          passed += head.length
          rest = rest.subarray(head.length)
          this.#fired.add(fault)
          await this.#fire(fault, pair)
        }
        if (pair.isFrozen) continue
        await write(to, rest)
        passed += rest.length
      }
      if (!pair.isFrozen) to.end()
    } catch {
      if (!pair.isFrozen) to.destroy()
    }
  }

  async #fire(fault: ConnectionFault, pair: Pair): Promise<void> {
    if (fault.action === 'hold') return await this.#released.promise
    pair.isFrozen = true
    if (fault.action === 'freeze') return
    for (const socket of [pair.client, pair.server]) {
      if (fault.action === 'reset') socket.resetAndDestroy()
      else socket.destroySoon()
    }
  }
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  /** Nothing is passed on any more, in either direction. */
  isFrozen: boolean
}

async function write(socket: Socket, bytes: Buffer): Promise<void> {
  if (bytes.length === 0) return
  await new Promise<void>((resolve, reject) => socket.write(bytes, (error) => (error ? reject(error) : resolve())))
}
