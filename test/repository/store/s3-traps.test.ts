/**
 * The traps of F35 and F36, and what a network does, against a real S3 server: through a proxy that breaks connections at
 * chosen bytes, and one that answers falsely.
 *
 * Stores here are opened with known capabilities, so that the first request through a proxy is the test's own. Waits
 * between attempts are not waited.
 */
import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Radosgw, startRadosgw, whyNoRadosgw } from '../../../scripts/support/radosgw.ts'
import { Failure } from '../../../src/errors.ts'
import type { Store } from '../../../src/repository/store/contract.ts'
import { realRetryPolicy } from '../../../src/repository/store/retry.ts'
import { capabilitiesOf, openS3Store, type S3Options } from '../../../src/repository/store/s3.ts'
import { type HttpRequest, type S3Proxy, s3Error, startS3Proxy } from '../../support/s3-proxy.ts'
import { type ConnectionFault, startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { codeOf, equal, keysOf, randomPlace } from './store-suite.ts'

const why = whyNoRadosgw()
if (why !== null) process.stderr.write(`skipped: traps of S3, because ${why}\n`)

const BUCKET = 'traps'
const MEBIBYTE = 1024 * 1024
const retry = { ...realRetryPolicy, attempts: 3, sleep: async () => undefined }
const known = capabilitiesOf(true)
/** Short where a connection is frozen on purpose; a busy machine must not run into it elsewhere. */
const shortTimeOuts = { connectMs: 5000, idleMs: 800, totalMs: 20_000 }

let gateway: Radosgw
let proxy: S3Proxy
let tcp: TcpProxy
let place: string
const opened: Store[] = []

async function openThrough(endpoint: string, options: S3Options = {}): Promise<Store> {
  const settings = gateway.settings(`${BUCKET}/${place}`, endpoint)
  const store = await openS3Store(settings, { known, retry, ...options })
  opened.push(store)
  return store
}

const openDirect = async () => await openThrough(gateway.endpoint)
const openProxied = async () => await openThrough(proxy.endpoint)

const isPut = ({ method }: HttpRequest) => method === 'PUT'
const isGet = ({ method, path }: HttpRequest) => method === 'GET' && !path.includes('list-type')
const isList = ({ path }: HttpRequest) => path.includes('list-type')
const puts = () => proxy.requests.filter((request) => request.startsWith('PUT'))

describe.skipIf(why !== null)('on radosgw', () => {
  beforeAll(async () => {
    gateway = await startRadosgw()
    proxy = await startS3Proxy(gateway.port)
    await gateway.makeBucket(BUCKET)
  }, 60_000)
  beforeEach(async () => {
    place = randomPlace()
    proxy.plan()
    tcp = await startTcpProxy({ port: gateway.port })
  })
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
    await tcp.close()
  })
  afterAll(async () => {
    await proxy.close()
    await gateway.stop()
  })

  describeBrokenConnections()
  describeFalseAnswers()
  describeFalseListings()
  describeMultipart()
  describeFailures()
  describeCrash()
})

function describeBrokenConnections(): void {
  const places: [string, Pick<ConnectionFault, 'direction' | 'afterBytes'>][] = [
    ['before its first byte', { direction: 'up', afterBytes: 0 }],
    ['in its headers', { direction: 'up', afterBytes: 100 }],
    ['in its body', { direction: 'up', afterBytes: 500_000 }],
    ['one byte before the end of its body', { direction: 'up', afterBytes: MEBIBYTE }],
    ['before the answer', { direction: 'down', afterBytes: 0 }],
    ['in the answer', { direction: 'down', afterBytes: 20 }],
  ]
  const cases = (['close', 'reset', 'freeze'] as const).flatMap((action) =>
    places.map(([where, fault]) => ({ action, where, fault })),
  )
  const through = async (action: ConnectionFault['action']) =>
    await openThrough(`http://127.0.0.1:${tcp.port}`, action === 'freeze' ? { timeOuts: shortTimeOuts } : {})

  test.each(cases)('a put whose connection meets $action $where is put whole, once', async ({ action, fault }) => {
    const store = await through(action)
    const bytes = randomBytes(MEBIBYTE)
    tcp.plan([{ connection: 1, action, ...fault }])

    await store.put('key', bytes)

    const direct = await openDirect()
    expect(equal(await direct.get('key'), bytes)).toBe(true)
    expect(await keysOf(direct, '')).toEqual(['key'])
    tcp.assertAllFired()
  })

  const lasting = cases.filter(({ action, fault }) => action !== 'freeze' || fault.afterBytes === 500_000)
  test.each(lasting)('a put that meets $action $where at every try leaves all of the object or none', async ({
    action,
    fault,
  }) => {
    const store = await through(action)
    const bytes = randomBytes(MEBIBYTE)
    tcp.plan(Array.from({ length: 8 }, (_, index) => ({ connection: index + 1, action, ...fault })))

    const code = await codeOf(store.put('key', bytes))

    const direct = await openDirect()
    const found = await direct.stat('key')
    expect(code).toBe('store-unreachable')
    expect(found === null || equal(await direct.get('key'), bytes)).toBe(true)
  })

  test.each([
    'close',
    'reset',
    'freeze',
  ] as const)('a get whose connection meets %s is begun again, and is whole', async (action) => {
    const bytes = randomBytes(MEBIBYTE)
    await (await openDirect()).put('key', bytes)
    const store = await through(action)
    tcp.plan([{ connection: 1, direction: 'down', afterBytes: 600_000, action }])

    expect(equal(await store.get('key'), bytes)).toBe(true)
    tcp.assertAllFired()
  })

  test('a network that breaks at random bytes costs time only: what a store says in its life stays true', {
    timeout: 120_000,
  }, async () => {
    const fault = fc.record({
      connection: fc.integer({ min: 1, max: 6 }),
      direction: fc.constantFrom('up' as const, 'down' as const),
      afterBytes: fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: 400_000 })),
      action: fc.constantFrom('close' as const, 'reset' as const),
    })

    const property = fc.asyncProperty(fc.array(fault, { maxLength: 6 }), async (faults) => {
      place = randomPlace()
      const patient = { ...retry, attempts: 10 }
      const store = await openThrough(`http://127.0.0.1:${tcp.port}`, { retry: patient })
      tcp.plan(faults)
      const bodies = { a: randomBytes(100_000), b: new Uint8Array(0), c: randomBytes(10) }

      for (const [key, body] of Object.entries(bodies)) await store.put(key, body)
      expect(await codeOf(store.put('a', randomBytes(3)))).toBe('object-exists')
      expect(await keysOf(store, '')).toEqual(['a', 'b', 'c'])
      for (const [key, body] of Object.entries(bodies)) expect(equal(await store.get(key), body)).toBe(true)
      expect(equal(await store.getRange('a', 5, 70_000), bodies.a.subarray(5, 70_000))).toBe(true)
      await store.delete('c')
      expect(await keysOf(store, '')).toEqual(['a', 'b'])
      tcp.resetAll()
    })

    await fc.assert(property, { numRuns: 30 })
  })

  test.each([
    // Over TLS the connection stands only once the other side has spoken.
    ['connect', 'https', { connectMs: 100, idleMs: 50_000, totalMs: 50_000 }],
    ['idle', 'http', { connectMs: 50_000, idleMs: 100, totalMs: 50_000 }],
    ['total', 'http', { connectMs: 50_000, idleMs: 50_000, totalMs: 100 }],
  ])('a store that never answers ends a call by its %s time-out (F31)', async (_name, scheme, timeOuts) => {
    const store = await openThrough(`${scheme}://127.0.0.1:${tcp.port}`, { timeOuts })
    tcp.plan([1, 2, 3].map((connection) => ({ connection, direction: 'up', afterBytes: 0, action: 'freeze' })))

    expect(await codeOf(store.stat('key'))).toBe('store-unreachable')
    tcp.assertAllFired()
  })
}

function describeFalseAnswers(): void {
  test('a body that is changed on its way is refused by the store, and sent again', async () => {
    const store = await openProxied()
    const bytes = randomBytes(10_000)
    proxy.plan({
      name: 'one bit',
      matches: isPut,
      changeRequest: (asked) => ({ ...asked, body: Buffer.concat([asked.body.subarray(1), Buffer.from([1])]) }),
    })

    await store.put('key', bytes)

    expect(puts().length).toBe(2)
    expect(equal(await store.get('key'), bytes)).toBe(true)
    proxy.assertAllFired()
  })

  test('a body that arrives short is never stored short', async () => {
    const store = await openProxied()
    const bytes = randomBytes(10_000)
    proxy.plan({
      name: 'short',
      matches: isPut,
      changeRequest: (asked) => ({
        ...asked,
        body: asked.body.subarray(0, 5000),
        headers: { ...asked.headers, 'content-length': '5000' },
      }),
    })

    await store.put('key', bytes)

    expect(equal(await store.get('key'), bytes)).toBe(true)
    proxy.assertAllFired()
  })

  test('an ETag of other bytes is not believed: the object is read back before the put counts', async () => {
    const store = await openProxied()
    proxy.plan({
      name: 'other ETag',
      matches: isPut,
      changeAnswer: (answer) => ({ ...answer, headers: { ...answer.headers, etag: `"${'0'.repeat(32)}"` } }),
    })

    await store.put('key', Uint8Array.from([1, 2, 3]))

    expect(proxy.requests.some((request) => request.startsWith('GET'))).toBe(true)
    proxy.assertAllFired()
  })

  test('a store that keeps other bytes than it was sent, and admits it in the ETag, is refused', async () => {
    const store = await openProxied()
    const direct = await openDirect()
    await direct.put('other', Uint8Array.from([9, 9, 9]))
    proxy.plan(
      {
        name: 'keeps other bytes',
        matches: isPut,
        answer: () => ({ status: 200, headers: { etag: `"${'0'.repeat(32)}"` }, body: Buffer.alloc(0) }),
      },
      {
        name: 'shows other bytes',
        matches: ({ method }) => method === 'GET' || method === 'HEAD',
        onward: true,
        changeRequest: (asked) => ({ ...asked, path: asked.path }),
        answer: ({ method }) => ({
          status: 200,
          headers: { 'content-length': '3' },
          body: method === 'HEAD' ? Buffer.alloc(0) : Buffer.from([9, 9, 9]),
        }),
      },
    )

    expect(await codeOf(store.put('key', Uint8Array.from([1, 2, 3])))).toBe('store-refused')
    proxy.assertAllFired()
  })

  test.each([
    [503, 'SlowDown'],
    [500, 'InternalError'],
    [429, 'TooManyRequests'],
    [409, 'ConditionalRequestConflict'],
    [400, 'RequestTimeout'],
  ])('a put answered by %i %s is tried again', async (status, code) => {
    const store = await openProxied()
    proxy.plan({ name: code, matches: isPut, answer: () => s3Error(status, code) })

    await store.put('key', Uint8Array.from([1]))

    expect(puts().length).toBe(2)
    expect([...(await store.get('key'))]).toEqual([1])
    proxy.assertAllFired()
  })

  test('a put that is applied and then answered by 500 is a success, and is sent once', async () => {
    const store = await openProxied()
    proxy.plan({ name: 'applied', matches: isPut, changeAnswer: () => s3Error(500, 'InternalError') })

    await store.put('key', Uint8Array.from([1]))

    expect(puts().length).toBe(1)
    proxy.assertAllFired()
  })

  test('a 5xx that stays keeps its status and its S3 code to the end', async () => {
    const store = await openProxied()
    proxy.plan({ name: 'stays', matches: () => true, onward: true, answer: () => s3Error(503, 'SlowDown') })

    const failure = await store.get('key').catch((error: unknown) => error)

    expect(failure).toMatchObject({ code: 'store-unreachable', context: { status: 503, s3Code: 'SlowDown' } })
    expect(proxy.requests.length).toBe(retry.attempts)
  })

  test.each([
    [403, 'QuotaExceeded', 'store-full'],
    [507, 'XMinioStorageFull', 'store-full'],
    [403, 'AccessDenied', 'store-refused'],
    [400, 'EntityTooLarge', 'store-refused'],
    [501, 'NotImplemented', 'store-unsuitable'],
  ])('a put answered by %i %s is %s, and is not tried again', async (status, s3Code, code) => {
    const store = await openProxied()
    proxy.plan({ name: s3Code, matches: isPut, onward: true, answer: () => s3Error(status, s3Code) })

    expect(await codeOf(store.put('key', Uint8Array.from([1])))).toBe(code)
    expect(proxy.requests.length).toBe(1)
  })

  test('a delete that is refused throws: no error is handed back as a value', async () => {
    const store = await openProxied()
    proxy.plan({
      name: 'refused',
      matches: ({ method }) => method === 'DELETE',
      answer: () => s3Error(403, 'AccessDenied'),
    })

    expect(await codeOf(store.delete('key'))).toBe('store-refused')
    proxy.assertAllFired()
  })

  test('a body cut below its Content-Length is read again', async () => {
    const store = await openProxied()
    const bytes = randomBytes(50_000)
    await store.put('key', bytes)
    proxy.plan({ name: 'cut', matches: isGet, changeAnswer: (answer) => ({ ...answer, cutAfterBytes: 20_000 }) })

    expect(equal(await store.get('key'), bytes)).toBe(true)
    proxy.assertAllFired()
  })

  test('a body that ends where the connection ends is not believed', async () => {
    const store = await openProxied()
    await store.put('key', randomBytes(1000))
    proxy.plan({
      name: 'unframed',
      matches: isGet,
      onward: true,
      changeAnswer: (answer) => ({ ...answer, body: answer.body.subarray(0, 500), isUnframed: true }),
    })

    expect(await codeOf(store.get('key'))).toBe('store-lied')
    proxy.assertAllFired()
  })

  test.each([
    ['the whole object', { status: 200, headers: {}, body: Buffer.alloc(1000) }],
    ['another range', { status: 206, headers: { 'content-range': 'bytes 11-20/1000' }, body: Buffer.alloc(10) }],
    ['a shorter range', { status: 206, headers: { 'content-range': 'bytes 10-14/1000' }, body: Buffer.alloc(5) }],
    [
      'fewer bytes than it says',
      { status: 206, headers: { 'content-range': 'bytes 10-19/1000' }, body: Buffer.alloc(5) },
    ],
    [
      'more bytes than were asked for',
      { status: 206, headers: { 'content-range': 'bytes 10-19/1000' }, body: Buffer.alloc(50) },
    ],
    ['a range it does not name', { status: 206, headers: {}, body: Buffer.alloc(10) }],
  ])('a range answered with %s is a lie', async (_what, answer) => {
    const store = await openProxied()
    await store.put('key', randomBytes(1000))
    proxy.plan({ name: 'range', matches: isGet, onward: true, answer: () => answer })

    expect(await codeOf(store.getRange('key', 10, 20))).toBe('store-lied')
    proxy.assertAllFired()
  })

  test('a 404 from something that is no S3 store is not a missing object', async () => {
    const store = await openProxied()
    const html = { status: 404, headers: {}, body: Buffer.from('<html>not found</html>') }
    proxy.plan({ name: 'html', matches: () => true, onward: true, answer: () => html })

    expect(await codeOf(store.get('key'))).toBe('store-refused')
    expect(await codeOf(store.stat('key'))).toBe('store-refused')
  })
}

function describeFalseListings(): void {
  async function withKeys(): Promise<Store> {
    const store = await openProxied()
    for (const key of ['1', '2', '3']) await store.put(key, Uint8Array.from([1]))
    return store
  }

  test('a page that is cut, and says that it is whole, is asked for again', async () => {
    const store = await withKeys()
    proxy.plan({
      name: 'cut page',
      matches: isList,
      changeAnswer: (answer) => ({ ...answer, body: answer.body.subarray(0, answer.body.length / 2) }),
    })

    expect(await keysOf(store, '')).toEqual(['1', '2', '3'])
    proxy.assertAllFired()
  })

  test.each([
    ['cut', (body: string) => body.slice(0, body.length / 2)],
    ['without an end', (body: string) => body.replace('<IsTruncated>false</IsTruncated>', '')],
    ['out of order', (body: string) => body.replace('/1</Key>', '/4</Key>')],
    ['for ever the same', (body: string) => endless(body)],
    ['of another prefix', (body: string) => body.replaceAll('<Key>place-', '<Key>elsewhere-')],
  ])('a listing that is %s throws: it is never a shorter one (F17)', async (_what, change) => {
    const store = await withKeys()
    proxy.plan({
      name: 'false page',
      matches: isList,
      onward: true,
      changeAnswer: (answer) => ({ ...answer, body: Buffer.from(change(answer.body.toString())) }),
    })

    expect(await codeOf(keysOf(store, ''))).toBe('store-lied')
    proxy.assertAllFired()
  })

  test('a second page that fails once is asked for again, and nothing is lost or doubled', {
    timeout: 30_000,
  }, async () => {
    const store = await openProxied()
    const keys = Array.from({ length: 1010 }, (_, index) => `k${10_000 + index}`)
    for (let start = 0; start < keys.length; start += 50) {
      await Promise.all(keys.slice(start, start + 50).map((key) => store.put(key, Uint8Array.from([1]))))
    }
    proxy.plan({
      name: 'second page',
      matches: (asked) => isList(asked) && asked.path.includes('continuation-token'),
      answer: () => s3Error(500, 'InternalError'),
    })

    expect(await keysOf(store, '')).toEqual(keys)
    proxy.assertAllFired()
  })
}

/** The last page, made to promise that there is more: the same page again. */
function endless(body: string): string {
  const more = '<IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>'
  return body.replace('<IsTruncated>false</IsTruncated>', more)
}

function describeMultipart(): void {
  test('an object of 64 MiB is one PUT, with its condition and both checksums, and no multipart upload', {
    timeout: 30_000,
  }, async () => {
    const store = await openProxied()
    let sent: HttpRequest | null = null
    proxy.plan({
      name: 'look',
      matches: isPut,
      changeRequest: (asked) => {
        sent = asked
        return asked
      },
    })

    await store.put('large', randomBytes(64 * MEBIBYTE))

    expect(proxy.requests).toEqual([`PUT /${BUCKET}/${place}/large`])
    expect(sent).toMatchObject({ headers: { 'if-none-match': '*', 'content-length': String(64 * MEBIBYTE) } })
    expect(sent!.headers['content-md5']).toMatch(/^[A-Za-z0-9+/]{22}==$/)
    expect(sent!.headers['x-amz-content-sha256']).toMatch(/^[0-9a-f]{64}$/)
  })

  test('a stale multipart upload of the same key is not adopted, not listed, and does not hinder', async () => {
    const client = gateway.client()
    const uploadId = await client.initiateNewMultipartUpload(BUCKET, `${place}/key`, {})
    const part = Buffer.alloc(5 * MEBIBYTE, 7)
    const query = `partNumber=1&uploadId=${encodeURIComponent(uploadId)}`
    await client.makeRequestAsyncOmit({ method: 'PUT', bucketName: BUCKET, objectName: `${place}/key`, query }, part)
    const store = await openDirect()

    const before = [await store.stat('key'), await keysOf(store, '')]
    await store.put('key', Uint8Array.from([1, 2, 3]))

    expect(before).toEqual([null, []])
    expect([...(await store.get('key'))]).toEqual([1, 2, 3])
    expect(await keysOf(store, '')).toEqual(['key'])
    await client.abortMultipartUpload(BUCKET, `${place}/key`, uploadId)
  })
}

function describeFailures(): void {
  test('a bucket that is taken away is an error to every call: never empty, never null (F17)', async () => {
    await gateway.makeBucket('doomed')
    const store = await openS3Store(gateway.settings('doomed/prefix'), { known, retry })
    opened.push(store)
    await gateway.client().removeBucket('doomed')

    const calls: (() => Promise<unknown>)[] = [
      () => store.put('key', new Uint8Array(1)),
      () => store.get('key'),
      () => store.getRange('key', 0, 1),
      () => store.stat('key'),
      () => store.delete('key'),
      () => keysOf(store, ''),
    ]
    for (const call of calls) expect(await codeOf(call())).toBe('repository-not-found')
  })

  test.each([
    ['a wrong secret key', { secretKey: 'wrong-planted-secret' }, 'SignatureDoesNotMatch'],
    ['an unknown access key', { accessKey: 'unknown-planted-key' }, 'InvalidAccessKeyId'],
  ])('%s is refused with a hint, and neither key stands anywhere in the failure', async (_what, wrong, s3Code) => {
    const settings = { ...gateway.settings(BUCKET), ...wrong }

    const failure = await openS3Store(settings).catch((error: unknown) => error)

    expect(failure).toBeInstanceOf(Failure)
    expect(failure).toMatchObject({ code: 'store-refused', context: { status: 403, s3Code } })
    const said = inspect(failure, { depth: 20, showHidden: true })
    for (const secret of [settings.accessKey, settings.secretKey]) expect(said).not.toContain(secret)
  })

  test('a port where nobody listens is unreachable, after as many tries as the policy says', async () => {
    const closed = await startTcpProxy({ port: gateway.port })
    const endpoint = `http://127.0.0.1:${closed.port}`
    await closed.close()
    const waits: number[] = []
    const counted = { ...retry, sleep: async (ms: number) => void waits.push(ms) }

    const store = await openThrough(endpoint, { retry: counted })

    const failure = await store.get('key').catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'store-unreachable', context: { errno: 'ECONNREFUSED' } })
    expect(waits.length).toBe(retry.attempts - 1)
  })
}

/** Last, because a gateway that comes back waits half a minute for its former self before it makes or removes a bucket. */
function describeCrash(): void {
  test('a gateway that crashed is unreachable, and serves the same handle once it is up again', {
    timeout: 30_000,
  }, async () => {
    const store = await openDirect()
    await store.put('before', new Uint8Array(1))

    await gateway.crashGateway()
    const codes = [await codeOf(store.put('during', new Uint8Array(1))), await codeOf(keysOf(store, ''))]
    await gateway.startGateway()
    await store.put('after', new Uint8Array(1))

    expect(codes).toEqual(['store-unreachable', 'store-unreachable'])
    expect(await keysOf(store, '')).toEqual(['after', 'before'])
  })
}
