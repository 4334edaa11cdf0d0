/**
 * From an address to a store. The only place that knows which kinds of store there are.
 */
import { Failure } from '../../errors.ts'
import type { Store, StoreCapabilities, StoreSettings } from './contract.ts'
import { createDirectoryStore, openDirectoryStore } from './directory.ts'
import { openOverlay } from './overlay.ts'

/**
 * `known`: the capabilities of a store that somebody has opened before, for workers: an S3 store is tried with three
 * small requests otherwise.
 * @throws bad-configuration, missing-secret, repository-not-found, store-unreachable, store-refused
 */
export async function openStore(settings: StoreSettings, known?: StoreCapabilities): Promise<Store> {
  const store = await opener(settings.url).open(settings, known)
  if (settings.scratchUrl === undefined) return store
  return await openOverlay(store, settings.scratchUrl).catch(async (error) => {
    await store.close()
    throw error
  })
}

/**
 * For `init`: makes the directory where the store is one, then opens it. What is already there stays. A bucket must be
 * there: who may make buckets is not for us to settle.
 */
export async function createStore(settings: StoreSettings): Promise<Store> {
  return await opener(settings.url).create(settings)
}

interface Opener {
  readonly open: (settings: StoreSettings, known?: StoreCapabilities) => Promise<Store>
  readonly create: (settings: StoreSettings) => Promise<Store>
}

const openers: Readonly<Record<string, Opener>> = {
  'file:': {
    open: async (settings) => await openDirectoryStore(settings.url),
    create: async (settings) => await createDirectoryStore(settings.url),
  },
  's3:': {
    open: async (settings, known) => {
      const { openS3Store } = await s3()
      return await openS3Store(settings, known ? { known } : {})
    },
    create: async (settings) => {
      const { openS3Store } = await s3()
      return await openS3Store(settings)
    },
  },
}

/** The client is half a second of loading, in every thread: only where there is a bucket. */
async function s3(): Promise<typeof import('./s3.ts')> {
  return await import('./s3.ts')
}

function opener(url: string): Opener {
  const scheme = URL.canParse(url) ? new URL(url).protocol : ''
  const found = openers[scheme]
  if (found) return found
  throw new Failure('bad-configuration', `the repository's address begins with ${scheme || 'no scheme'}`, {
    hints: ['Use file:///a/directory or s3://bucket/prefix?endpoint=https://host:port'],
    context: { scheme },
  })
}
