/**
 * From an address to a store. The only place that knows which kinds of store there are.
 */
import { Failure } from '../../errors.ts'
import type { Store, StoreSettings } from './contract.ts'
import { createDirectoryStore, openDirectoryStore } from './directory.ts'

/** @throws bad-configuration, repository-not-found, store-unreachable, store-refused */
export async function openStore(settings: StoreSettings): Promise<Store> {
  return await opener(settings.url).open(settings)
}

/** For `init`: makes the directory where the store is one, then opens it. What is already there stays. */
export async function createStore(settings: StoreSettings): Promise<Store> {
  return await opener(settings.url).create(settings)
}

interface Opener {
  readonly open: (settings: StoreSettings) => Promise<Store>
  readonly create: (settings: StoreSettings) => Promise<Store>
}

const openers: Readonly<Record<string, Opener>> = {
  'file:': {
    open: async (settings) => await openDirectoryStore(settings.url),
    create: async (settings) => await createDirectoryStore(settings.url),
  },
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
