/** The proxy passes on every byte until the planned one, and breaks there as planned. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'

let echo: Server
let received: Buffer[]
let serverSideClosed: Promise<void>
let proxy: TcpProxy

beforeEach(async () => {
  const closed = Promise.withResolvers<void>()
  const chunks: Buffer[] = []
  serverSideClosed = closed.promise
  received = chunks
  echo = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('close', () => closed.resolve())
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      socket.write(chunk)
    })
  })
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve))
  const address = echo.address()
  proxy = await startTcpProxy({ port: typeof address === 'object' && address ? address.port : 0 })
})
afterEach(async () => {
  await proxy.close()
  await new Promise((resolve) => echo.close(resolve))
})

async function connectThrough(): Promise<Socket> {
  const socket = connect(proxy.port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

/** What comes back until the connection ends, and how it ended. */
async function readToEnd(socket: Socket): Promise<{ text: string; ended: string }> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  const ended = await new Promise<string>((resolve) => {
    socket.on('end', () => resolve('close'))
    socket.on('error', () => resolve('reset'))
  })
  return { text: Buffer.concat(chunks).toString(), ended }
}

test('without a plan every byte goes both ways', async () => {
  const socket = await connectThrough()

  socket.write('hello')
  const [chunk] = await once(socket, 'data')

  expect(String(chunk)).toBe('hello')
  expect(proxy.connections).toBe(1)
  socket.destroy()
})

test.each([
  'close',
  'reset',
] as const)('%s after three bytes up lets three bytes through, and ends as planned', async (action) => {
  proxy.plan([{ connection: 1, direction: 'up', afterBytes: 3, action }])
  const socket = await connectThrough()

  socket.write('hello')
  const { ended } = await readToEnd(socket)
  await serverSideClosed

  // A reset may overtake the bytes before it.
  expect(action === 'close' ? ['hel'] : ['hel', '']).toContain(Buffer.concat(received).toString())
  expect(ended).toBe(action)
  proxy.assertAllFired()
})

test('close after two bytes down gives the client two bytes and an end', async () => {
  proxy.plan([{ connection: 1, direction: 'down', afterBytes: 2, action: 'close' }])
  const socket = await connectThrough()

  socket.write('hello')

  expect(await readToEnd(socket)).toEqual({ text: 'he', ended: 'close' })
})

test('freeze keeps the connection and passes nothing on, until all is reset', async () => {
  proxy.plan([{ connection: 1, direction: 'down', afterBytes: 2, action: 'freeze' }])
  const socket = await connectThrough()
  const reading = readToEnd(socket)

  socket.write('hello')
  await once(socket, 'data')
  const other = await connectThrough()
  other.write('x')
  await once(other, 'data')
  const wasOpen = !socket.closed
  other.on('error', () => undefined)
  proxy.resetAll()

  expect(wasOpen).toBe(true)
  expect(await reading).toEqual({ text: 'he', ended: 'reset' })
  other.destroy()
})

test('hold lets the rest through once it is released', async () => {
  proxy.plan([{ connection: 1, direction: 'up', afterBytes: 2, action: 'hold' }])
  const socket = await connectThrough()

  socket.write('hello')
  const [first] = await once(socket, 'data')
  proxy.release()
  const [rest] = await once(socket, 'data')

  expect([String(first), String(rest)]).toEqual(['he', 'llo'])
  socket.destroy()
})

test('a plan counts the connections to come, and owns up to what did not fire', async () => {
  const first = await connectThrough()
  first.write('x')
  await once(first, 'data')
  proxy.plan([{ connection: 1, direction: 'up', afterBytes: 0, action: 'close' }])

  expect(() => proxy.assertAllFired()).toThrow('never fired')
  const second = await connectThrough()
  second.write('x')
  await readToEnd(second)
  proxy.assertAllFired()
  first.destroy()
})
