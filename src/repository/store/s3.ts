/**
 * A store in a bucket of any S3 store. One object is one PUT; there is no multipart anywhere.
 *
 * An object counts as put when the store has answered 200 to a request whose length, MD5 and SHA-256 it had to check,
 * and its ETag does not contradict the MD5. `If-None-Match: *` keeps an existing key from being overwritten, but stores
 * differ in whether they look at it (F37), so this is tried, not assumed. Where it does not hold, we look before we put,
 * which keeps one writer from overwriting anything, but not two who race; `capabilities` says which it is.
 *
 * Each method here is one attempt. `openS3Store` wraps it in `withRetries`, the only place that tries again.
 */
import { createHash, randomBytes } from 'node:crypto'
import { assert, Failure } from '../../errors.ts'
import type { Store, StoreCapabilities, StoreObject, StoreSettings } from './contract.ts'
import { assertKey, assertPrefix, assertRange, isKey } from './key.ts'
import { type RetryPolicy, realRetryPolicy, withRetries } from './retry.ts'
import { parseS3Address, probeAddress, type S3Address } from './s3-address.ts'
import { failureOfAnswer, s3Code } from './s3-failure.ts'
import { parseListingPage } from './s3-listing.ts'
import { clearVersions } from './s3-versions.ts'
import { type S3Answer, S3Wire, type S3World } from './s3-wire.ts'
import { objectExists, objectMissing, objectTooShort } from './store-failure.ts'

/** Far above any pack, far below the 5 GiB of a single PUT: an object must fit in our memory. */
export const OBJECT_BYTES_MAX = 512 * 1024 * 1024
const KEYS_PER_PAGE = '1000'

export interface S3Options extends S3World {
  /** What an earlier probe found. Spares a worker that opens its own handle from probing again. */
  readonly known?: StoreCapabilities
  readonly retry?: RetryPolicy
}

/** @throws repository-not-found (no such bucket), store-refused, store-unreachable, missing-secret, bad-configuration */
export async function openS3Store(settings: StoreSettings, options: S3Options = {}): Promise<Store> {
  const address = parseS3Address(settings.url, settings.region)
  const wire = new S3Wire(address, settings, options)
  const policy = options.retry ?? realRetryPolicy
  try {
    const capabilities = options.known ?? (await findCapabilities(wire, policy))
    return withRetries(new S3Store(wire, capabilities), policy)
  } catch (error) {
    wire.close()
    throw error
  }
}

export function capabilitiesOf(conditionalPut: boolean): StoreCapabilities {
  return {
    conditionalPut,
    durability: conditionalPut
      ? 'single PUT with If-None-Match, MD5 and SHA-256 checked by the store'
      : 'single PUT after a look (no If-None-Match), MD5 and SHA-256 checked by the store',
  }
}

/**
 * Puts one small object twice, in a corner of the bucket that no listing shows. Somebody who may only read gets the
 * weaker answer, and can open the repository all the same.
 */
async function findCapabilities(wire: S3Wire, policy: RetryPolicy): Promise<StoreCapabilities> {
  const address = probeAddress(wire.address, randomBytes(8).toString('hex'))
  const corner = new S3Store(wire, capabilitiesOf(true), address)
  const store = withRetries(corner, policy)
  await corner.assertBucket()
  try {
    await store.put('first', randomBytes(16))
    const second = await corner.put('first', randomBytes(16)).catch((error: unknown) => error)
    await store.delete('first')
    // Best effort: an access key may write, and not list versions; then a few bytes stay behind.
    await clearVersions(wire, address.prefix).catch(() => undefined)
    return capabilitiesOf(second instanceof Failure && second.code === 'object-exists')
  } catch (error) {
    const mayNotWrite = error instanceof Failure && ['store-refused', 'store-unsuitable'].includes(error.code)
    if (mayNotWrite) return capabilitiesOf(false)
    throw error
  }
}

export class S3Store implements Store {
  readonly url: string
  readonly capabilities: StoreCapabilities
  readonly #wire: S3Wire
  readonly #prefix: string

  constructor(wire: S3Wire, capabilities: StoreCapabilities, address: S3Address = wire.address) {
    this.url = address.url
    this.capabilities = capabilities
    this.#wire = wire
    this.#prefix = address.prefix
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    assertKey(key)
    assert(bytes.length <= OBJECT_BYTES_MAX, `an object is at most ${OBJECT_BYTES_MAX} bytes, not ${bytes.length}`)
    const { conditionalPut } = this.capabilities
    if (!conditionalPut && (await this.#head(key))) throw objectExists(this.url, key)

    const md5 = createHash('md5').update(bytes).digest()
    const answer = await this.#wire.request({
      method: 'PUT',
      objectName: this.#prefix + key,
      headers: {
        'content-type': 'application/octet-stream',
        'content-md5': md5.toString('base64'),
        ...(conditionalPut ? { 'if-none-match': '*' } : {}),
      },
      body: bytes,
    })

    if (answer.status === 412) throw objectExists(this.url, key)
    if (answer.status !== 200) throw failureOfAnswer(answer, `write ${key}`, this.url)
    assertEntityTag(answer, md5.toString('hex'), key)
  }

  async get(key: string): Promise<Uint8Array> {
    assertKey(key)
    const answer = await this.#wire.request({
      method: 'GET',
      objectName: this.#prefix + key,
      answerBytesMax: OBJECT_BYTES_MAX,
    })
    if (answer.status === 200) return answer.body
    throw this.#failureOfRead(answer, key)
  }

  async getRange(key: string, start: number, end: number): Promise<Uint8Array> {
    assertKey(key)
    assertRange(start, end)
    if (start === end) return await this.#emptyRange(key, end)
    const answer = await this.#wire.request({
      method: 'GET',
      objectName: this.#prefix + key,
      headers: { range: `bytes=${start}-${end - 1}` },
      answerBytesMax: end - start,
    })
    if (answer.status === 416) throw objectTooShort(key, { end, bytes: await this.#bytesOf(key) })
    if (answer.status !== 206) throw this.#failureOfRead(answer, key)
    assertRangeAnswered(answer, key, { start, end })
    return answer.body
  }

  async stat(key: string): Promise<StoreObject | null> {
    assertKey(key)
    const found = await this.#head(key)
    // An answer to HEAD has no S3 code: a bucket that is gone looks like an object that is not there.
    if (found === null) await this.assertBucket()
    return found
  }

  async *list(prefix: string): AsyncIterable<StoreObject> {
    assertPrefix(prefix)
    let token: string | null = null
    let last = ''
    do {
      const page = parseListingPage(await this.#listPage(prefix, token))
      for (const { objectName, bytes } of page.objects) {
        if (objectName <= last || !objectName.startsWith(this.#prefix)) throw badOrder(this.url)
        last = objectName
        const key = objectName.slice(this.#prefix.length)
        if (isKey(key)) yield { key, bytes }
      }
      token = page.nextToken
    } while (token !== null)
  }

  async delete(key: string): Promise<void> {
    assertKey(key)
    const answer = await this.#wire.request({ method: 'DELETE', objectName: this.#prefix + key })
    const isGone = answer.status === 204 || answer.status === 200 || s3Code(answer) === 'NoSuchKey'
    if (!isGone) throw failureOfAnswer(answer, `delete ${key}`, this.url)
  }

  async close(): Promise<void> {
    this.#wire.close()
  }

  /**
   * Asks for one key rather than for the bucket's head: only an answer with a body says why not.
   * @throws repository-not-found, store-refused, store-unreachable
   */
  async assertBucket(): Promise<void> {
    const query = { 'list-type': '2', 'max-keys': '1', prefix: this.#prefix }
    const answer = await this.#wire.request({ method: 'GET', query })
    if (answer.status !== 200) throw failureOfAnswer(answer, `list bucket ${this.#wire.address.bucket}`, this.url)
    parseListingPage(Buffer.from(answer.body).toString('utf8'))
  }

  async #head(key: string): Promise<StoreObject | null> {
    const answer = await this.#wire.request({ method: 'HEAD', objectName: this.#prefix + key })
    if (answer.status === 404) return null
    if (answer.status !== 200) throw failureOfAnswer(answer, `look for ${key}`, this.url)
    const length = answer.headers['content-length'] ?? ''
    if (!/^\d+$/.test(length)) throw lied(key, 'gave no length')
    return { key, bytes: Number(length) }
  }

  async #bytesOf(key: string): Promise<number> {
    const found = await this.stat(key)
    if (found === null) throw objectMissing(this.url, key)
    return found.bytes
  }

  /** HTTP cannot ask for no bytes, so the length is looked at instead. */
  async #emptyRange(key: string, end: number): Promise<Uint8Array> {
    const bytes = await this.#bytesOf(key)
    if (end > bytes) throw objectTooShort(key, { end, bytes })
    return new Uint8Array(0)
  }

  async #listPage(prefix: string, token: string | null): Promise<string> {
    const answer = await this.#wire.request({
      method: 'GET',
      query: {
        'list-type': '2',
        'max-keys': KEYS_PER_PAGE,
        prefix: this.#prefix + prefix,
        ...(token === null ? {} : { 'continuation-token': token }),
      },
    })
    if (answer.status !== 200) throw failureOfAnswer(answer, `list ${prefix || 'everything'}`, this.url)
    return Buffer.from(answer.body).toString('utf8')
  }

  /** Only the code says that the object is not there: a 404 without it comes from something that is no S3 store. */
  #failureOfRead(answer: S3Answer, key: string): Failure {
    if (answer.status === 200 || answer.status === 206) return lied(key, `answered ${answer.status}`)
    const cause = failureOfAnswer(answer, `read ${key}`, this.url)
    return s3Code(answer) === 'NoSuchKey' ? objectMissing(this.url, key, cause) : cause
  }
}

/** An ETag is the MD5 of a single PUT, unless the store encrypts under a key of its own or the client's. */
function assertEntityTag(answer: S3Answer, md5: string, key: string): void {
  const encryption = answer.headers['x-amz-server-side-encryption']
  const isOpaque =
    (encryption !== undefined && encryption !== 'AES256') ||
    answer.headers['x-amz-server-side-encryption-customer-algorithm'] !== undefined
  const tag = (answer.headers.etag ?? '').replaceAll('"', '').toLowerCase()
  if (!isOpaque && /^[0-9a-f]{32}$/.test(tag) && tag !== md5) throw lied(key, 'confirmed other bytes than were sent')
}

function assertRangeAnswered(answer: S3Answer, key: string, range: { start: number; end: number }): void {
  const said = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(answer.headers['content-range'] ?? '')
  if (!said || Number(said[1]) !== range.start) throw lied(key, 'answered with another range')
  const isWhole = Number(said[2]) === range.end - 1 && answer.body.length === range.end - range.start
  if (isWhole) return
  if (Number(said[3]) < range.end) throw objectTooShort(key, { end: range.end, bytes: Number(said[3]) })
  throw lied(key, 'answered with another range')
}

function lied(key: string, what: string): Failure {
  return new Failure('store-lied', `the store ${what} for ${key}`, { context: { key } })
}

/** Also how an endless listing ends: a store that hands out the same page again. */
function badOrder(url: string): Failure {
  return new Failure('store-lied', `the listing of ${url} is not in order of keys`, {
    hints: ['Run `chartkeep store probe` to see what this store does.'],
  })
}
