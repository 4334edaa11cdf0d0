/** The stores that tests use in place of real ones keep the contract too: in memory, faulty without a plan, retrying. */

import { realRetryPolicy, withRetries } from '../../../src/repository/store/retry.ts'
import { FaultyStore } from '../../support/faulty-store.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { describeStore } from './store-suite.ts'

function places(): (place: string) => MemoryStore {
  const stores = new Map<string, MemoryStore>()
  return (place) => {
    const store = stores.get(place) ?? new MemoryStore()
    stores.set(place, store)
    return store
  }
}

const plain = places()
describeStore('memory', { open: async (place) => plain(place) })

const underFaulty = places()
describeStore('faulty, with nothing planned', { open: async (place) => new FaultyStore(underFaulty(place)) })

const underRetry = places()
describeStore('retrying', { open: async (place) => withRetries(underRetry(place), realRetryPolicy) })
