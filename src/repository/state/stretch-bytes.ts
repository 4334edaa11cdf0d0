import { segmentOf, segmentPrefix } from '../layout.ts'
import type { Store } from '../store/contract.ts'
import type { LogStretch } from './target.ts'

/** Bytes of the segments that lead from a snapshot to a moment, as stored. @throws store-… */
export async function storedBytes(store: Store, { log, fromSegment, toSegment }: LogStretch): Promise<number> {
  let bytes = 0
  for await (const object of store.list(segmentPrefix(log.start.logId))) {
    const number = segmentOf(object.key)?.number ?? -1
    if (number >= fromSegment && number <= toSegment) bytes += object.bytes
  }
  return bytes
}
