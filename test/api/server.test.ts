/** The API on a socket: slow clients by the hundred, TLS, and where it does not listen. */
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:https'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type ApiServer, listen } from '../../src/api/server.ts'
import { aJob, makeApi } from './support.ts'

const QUICK = { headersMs: 300, requestMs: 600, idleMs: 900, checkedEveryMs: 100 }

let server: ApiServer | null = null
afterEach(async () => {
  await server?.close(0)
  server = null
})

function portOf({ url }: ApiServer): number {
  return Number(new URL(url).port)
}

function bodyHead(token: string): string {
  const headers = `Authorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 1000`
  return `POST /v1/jobs HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n`
}

/** Ends with what came, when the other side has let go. */
function slowClient(port: number, first: string, drip: string | null): { socket: Socket; ended: Promise<string> } {
  const socket = connect(port, '127.0.0.1')
  const { promise, resolve } = Promise.withResolvers<string>()
  let text = ''
  // Kept until the connection is there, and before every drip.
  socket.write(first)
  const timer = setInterval(() => drip !== null && socket.write(drip), 50)
  socket.on('data', (data) => {
    text += data.toString('latin1')
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    clearInterval(timer)
    resolve(text)
  })
  return { socket, ended: promise }
}

describe('slow clients by the hundred', () => {
  const slow: [string, (token: string) => string, string | null, RegExp][] = [
    ['never end their headers', () => 'GET /health HTTP/1.1\r\nHost: x\r\n', 'X-A: b\r\n', /^HTTP\/1.1 408/],
    ['never end their body', bodyHead, ' ', /^HTTP\/1.1 408/],
    ['say nothing at all', () => '', null, /^(HTTP\/1.1 408|$)/],
  ]
  it.each(slow)('that %s are cut, while others are answered', async (_what, head, drip, expected) => {
    const { api, token } = await makeApi({ limits: { burst: 1_000 } })
    server = await listen({ app: api, listen: '127.0.0.1:0', tls: null, timeouts: QUICK })
    const port = portOf(server)
    const first = head(await token('operator'))
    const clients = Array.from({ length: 300 }, () => slowClient(port, first, drip))

    const health = await fetch(`${server.url}/health`)
    expect(health.status).toBe(200)
    await health.text()

    const ended = await Promise.all(clients.map((client) => client.ended))
    expect(ended.filter((text) => !expected.test(text))).toEqual([])
  })

  it('that do not read their events are let go of', async () => {
    const { api, service, token } = await makeApi()
    const job = aJob('check-1', 'x')
    service.known.set('check-1', job)
    let told = 0
    let ended = false
    service.jobs.follow = async function* () {
      try {
        for (;;) {
          told += 1
          yield { type: 'note', at: job.startedAt, text: 'x'.repeat(100_000) }
        }
      } finally {
        ended = true
      }
    }
    server = await listen({ app: api, listen: '127.0.0.1:0', tls: null, timeouts: QUICK })
    const head = `GET /v1/jobs/check-1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${await token('viewer')}\r\n\r\n`
    const client = slowClient(portOf(server), head, null)
    client.socket.pause()

    await expect.poll(() => ended, { timeout: 20_000 }).toBe(true)
    expect(told).toBeLessThan(1_000)
    client.socket.destroy()
  })
})

describe('the socket', () => {
  it.each(['0.0.0.0:0', '192.0.2.1:0', '[::]:0', 'icu-backup:0'])('%s is refused in clear text', async (address) => {
    const { api } = await makeApi()
    await expect(listen({ app: api, listen: address, tls: null })).rejects.toMatchObject({ code: 'bad-configuration' })
  })

  it('speaks TLS with a certificate from files, and refuses a key that is not its own', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'chartkeep-tls-'))
    try {
      const [certificateFile, keyFile, otherKey] = [join(folder, 'c.pem'), join(folder, 'k.pem'), join(folder, 'o.pem')]
      for (const key of [otherKey, keyFile]) selfSigned(certificateFile, key)
      const { api } = await makeApi()
      await expect(
        listen({ app: api, listen: '127.0.0.1:0', tls: { certificateFile, keyFile: otherKey } }),
      ).rejects.toMatchObject({ code: 'bad-configuration' })
      server = await listen({ app: api, listen: '127.0.0.1:0', tls: { certificateFile, keyFile } })

      expect(await statusOver(server.url)).toBe(200)
      await server.reloadTls()
      expect(await statusOver(server.url)).toBe(200)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

function selfSigned(certificate: string, key: string): void {
  const options = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=localhost']
  execFileSync('openssl', ['req', '-x509', ...options, '-keyout', key, '-out', certificate, '-days', '1'], {
    stdio: 'ignore',
  })
}

function statusOver(url: string): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>()
  request(`${url}/health`, { rejectUnauthorized: false, agent: false }, (response) => {
    response.resume()
    resolve(response.statusCode)
  })
    .on('error', reject)
    .end()
  return promise
}
