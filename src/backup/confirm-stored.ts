/**
 * Asks the store, before a manifest names them, whether the packs of a run are there, each in its exact length (I1).
 *
 * A put that was acknowledged and not kept is the fault that no retry and no checksum of a request can see. One
 * question for each pack is little beside its sixteen megabytes; whether the bytes are the right ones is for scrub.
 */
import { Failure } from '../errors.ts'
import { packKey } from '../repository/layout.ts'
import type { PackRecord } from '../repository/pack/pack-writer.ts'
import type { Store } from '../repository/store/contract.ts'

const QUESTIONS_AT_ONCE = 8

/** @throws store-lied naming the first pack that is not as it was confirmed; store-… */
export async function confirmPacks(store: Store, packs: readonly PackRecord[]): Promise<void> {
  const waiting = [...packs]
  const lane = async () => {
    for (let pack = waiting.shift(); pack; pack = waiting.shift()) await confirmPack(store, pack)
  }
  await Promise.all(Array.from({ length: QUESTIONS_AT_ONCE }, lane))
}

async function confirmPack(store: Store, { packId, bytes }: PackRecord): Promise<void> {
  const found = await store.stat(packKey(packId))
  if (found?.bytes === bytes) return
  throw storeLied(packKey(packId), found ? `has ${found.bytes} bytes of ${bytes}` : 'is not there')
}

/** Reads back what was just put; that it cannot be had means that the store did not keep it. */
export async function confirmRead<T>(key: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    const lost = error instanceof Failure && ['object-missing', 'snapshot-not-found'].includes(error.code)
    throw lost ? storeLied(key, 'is not there') : error
  }
}

export function storeLied(key: string, what: string): Failure {
  return new Failure('store-lied', `the store confirmed object ${key}, which ${what}`, {
    context: { object: key },
    hints: [
      'No snapshot was harmed. Run `chartkeep backup` again: what the store did keep is used.',
      'When it happens again, do not trust this store: look at its disks and its logs.',
    ],
  })
}
