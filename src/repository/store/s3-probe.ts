/**
 * The part of a probe that needs S3's own words: what the store does with wrong checksums, versions and locks.
 *
 * A lock is tried with a legal hold, which can be taken off again: a retention would leave an object behind that nobody
 * can delete.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { StoreSettings } from './contract.ts'
import { no, type ProbeAnswer, type ProbeCorner, unknown, yes } from './probe-answer.ts'
import { realRetryPolicy, withRetries } from './retry.ts'
import { capabilitiesOf, S3Store } from './s3.ts'
import { parseS3Address, probeAddress } from './s3-address.ts'
import { s3Code } from './s3-failure.ts'
import { clearVersions, removeVersion } from './s3-versions.ts'
import { type S3Answer, S3Wire } from './s3-wire.ts'

export async function openS3Corner(settings: StoreSettings, name: string): Promise<ProbeCorner> {
  const address = probeAddress(parseS3Address(settings.url, settings.region), name)
  const wire = new S3Wire(address, settings)
  const store = new S3Store(wire, capabilitiesOf(true))
  await store.assertBucket()
  const handle = () => withRetries(new S3Store(new S3Wire(address, settings), capabilitiesOf(true)), realRetryPolicy)
  return {
    url: address.url,
    handles: [handle(), handle()],
    ownAnswers: async () => ({
      checksumRefused: await tryChecksums(wire),
      versioning: await tryVersioning(wire),
      objectLock: await tryLock(wire),
    }),
    clear: async () => {
      await clearVersions(wire, address.prefix)
      for await (const { key } of store.list('')) await store.delete(key)
      wire.close()
    },
  }
}

async function tryChecksums(wire: S3Wire): Promise<ProbeAnswer> {
  const body = randomBytes(64)
  const others = randomBytes(64)
  const wrongMd5 = createHash('md5').update(others).digest('base64')
  const wrongSha256 = createHash('sha256').update(others).digest('hex')
  const withMd5 = await put(wire, 'wrong-md5', { body, headers: { 'content-md5': wrongMd5 } })
  const withSha256 = await put(wire, 'wrong-sha256', { body, claimedSha256: wrongSha256 })

  if (withMd5.status === 200) return no('it accepted bytes under a wrong MD5')
  if (withSha256.status === 200) return no('it looks at the MD5, and not at the SHA-256 of the signature')
  const codes = [s3Code(withMd5), s3Code(withSha256)]
  const isRefusal = withMd5.status === 400 && withSha256.status === 400
  return isRefusal ? yes(codes.join(' and ')) : unknown(`it answered ${codes.join(' and ')}`)
}

async function tryVersioning(wire: S3Wire): Promise<ProbeAnswer> {
  const answer = await put(wire, 'versioned', { body: randomBytes(16) })
  if (answer.status !== 200) return unknown(`a put was answered with ${answer.status} ${s3Code(answer)}`)
  return versionOf(answer) === null ? no('') : yes('what is deleted takes space until a lifecycle rule removes it')
}

async function tryLock(wire: S3Wire): Promise<ProbeAnswer> {
  const versionId = versionOf(await put(wire, 'locked', { body: randomBytes(16) }))
  if (versionId === null) return no('the bucket keeps no versions, and a lock needs them')
  const held = await hold(wire, versionId, 'ON')
  if (held.status !== 200) return no(`a legal hold was answered with ${held.status} ${s3Code(held)}`.trimEnd())

  const refused = await removeVersion(wire, `${wire.address.prefix}locked`, versionId)
  await hold(wire, versionId, 'OFF')

  const isRefused = refused.status >= 400 && refused.status < 500
  return isRefused ? yes('a legal hold kept a version from being deleted') : no('it deleted a version under legal hold')
}

interface PutTrial {
  readonly body: Uint8Array
  readonly headers?: Readonly<Record<string, string>>
  readonly claimedSha256?: string
}

async function put(wire: S3Wire, name: string, trial: PutTrial): Promise<S3Answer> {
  return await wire.request({ method: 'PUT', objectName: wire.address.prefix + name, ...trial })
}

async function hold(wire: S3Wire, versionId: string, status: 'ON' | 'OFF'): Promise<S3Answer> {
  const body = Buffer.from(
    `<LegalHold xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>${status}</Status></LegalHold>`,
  )
  return await wire.request({
    method: 'PUT',
    objectName: `${wire.address.prefix}locked`,
    query: { 'legal-hold': '', versionId },
    headers: { 'content-md5': createHash('md5').update(body).digest('base64'), 'content-type': 'application/xml' },
    body,
  })
}

/** A bucket without versioning says nothing, or `null`. */
function versionOf(answer: S3Answer): string | null {
  const versionId = answer.headers['x-amz-version-id']
  return typeof versionId === 'string' && versionId !== '' && versionId !== 'null' ? versionId : null
}
