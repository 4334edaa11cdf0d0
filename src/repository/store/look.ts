/**
 * What can be said of a store without writing to it: for `doctor`, which changes nothing. What only a trial tells (whether
 * a second put is refused, whether a lock holds) is `probe.ts`'s.
 */
import { access, constants, statfs } from 'node:fs/promises'
import { Failure } from '../../errors.ts'
import type { StoreSettings } from './contract.ts'
import { directoryOfUrl } from './directory.ts'
import { parseS3Address } from './s3-address.ts'
import { S3Wire } from './s3-wire.ts'

export interface StoreLook {
  /** Null where only a put would tell. */
  readonly mayWrite: boolean | null
  /** Bytes that can be written still; null where the store does not say. */
  readonly freeBytes: number | null
  /** The store's clock minus ours; null where it shows none. */
  readonly clockOffsetSeconds: number | null
  /** Rules by which the store itself removes objects; null where it does not say. */
  readonly expiryRules: readonly string[] | null
  /** Whether deleted objects are kept as versions; null where it does not say. */
  readonly keepsVersions: boolean | null
}

/** @throws missing-secret, bad-configuration, store-unreachable */
export async function lookAtStore(settings: StoreSettings, nowMs: () => number): Promise<StoreLook> {
  return settings.url.startsWith('file:') ? await lookAtDirectory(settings.url) : await lookAtBucket(settings, nowMs)
}

async function lookAtDirectory(url: string): Promise<StoreLook> {
  const directory = directoryOfUrl(url)
  const space = await statfs(directory).catch((error: NodeJS.ErrnoException) => {
    throw new Failure('store-unreachable', `the directory ${directory} cannot be looked at (${error.code})`)
  })
  const mayWrite = await access(directory, constants.W_OK).then(
    () => true,
    () => false,
  )
  const freeBytes = Number(space.bavail) * Number(space.bsize)
  // Files are stamped by the machine that keeps them, and a look stamps nothing.
  return { mayWrite, freeBytes, clockOffsetSeconds: null, expiryRules: [], keepsVersions: false }
}

async function lookAtBucket(settings: StoreSettings, nowMs: () => number): Promise<StoreLook> {
  const wire = new S3Wire(parseS3Address(settings.url, settings.region), settings)
  try {
    const beforeMs = nowMs()
    const versioning = await wire.request({ method: 'GET', query: { versioning: '' } })
    const afterMs = nowMs()
    const lifecycle = await wire.request({ method: 'GET', query: { lifecycle: '' } })
    return {
      mayWrite: null,
      freeBytes: null,
      clockOffsetSeconds: clockOffset(versioning.headers.date, (beforeMs + afterMs) / 2),
      expiryRules: expiryRules(lifecycle.status, text(lifecycle.body), wire.address.prefix),
      keepsVersions: versioning.status === 200 ? text(versioning.body).includes('<Status>Enabled</Status>') : null,
    }
  } finally {
    wire.close()
  }
}

/** The header has whole seconds. */
function clockOffset(date: string | undefined, ourMs: number): number | null {
  const theirMs = date === undefined ? Number.NaN : Date.parse(date)
  return Number.isNaN(theirMs) ? null : (theirMs + 500 - ourMs) / 1000
}

/** Those that are on, remove objects by age or date, and reach what lies below the prefix. */
function expiryRules(status: number, xml: string, prefix: string): string[] | null {
  if (status === 404) return []
  if (status !== 200) return null
  const rules = [...xml.matchAll(/<Rule>(.*?)<\/Rule>/gs)].map(([, rule]) => rule!)
  return rules.flatMap((rule) => {
    const limit = /<Expiration>.*?<(Days|Date)>([^<]+)<.*?<\/Expiration>/s.exec(rule)
    const reach = /<Prefix>([^<]*)<\/Prefix>/.exec(rule)?.[1] ?? ''
    const reaches = reach.startsWith(prefix) || prefix.startsWith(reach)
    if (!limit || !reaches || !rule.includes('<Status>Enabled</Status>')) return []
    return [`${/<ID>([^<]*)<\/ID>/.exec(rule)?.[1] ?? 'rule'}: ${limit[1]} ${limit[2]}`]
  })
}

function text(body: Uint8Array): string {
  return Buffer.from(body).toString('utf8')
}
