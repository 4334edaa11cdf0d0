/**
 * Segments one after the other, the next ones on their way meanwhile. Memory is bounded by what is fetched and not yet
 * taken: as stored, that is compressed; how far ahead follows from the largest met so far.
 */
import type { SegmentStore } from './segment-store.ts'

const AHEAD_MAX = 16
const AHEAD_BYTES_MAX = 32 * 1024 * 1024

export interface FetchedSegment {
  readonly number: number
  /** As stored; or why it could not be fetched. */
  readonly outcome: { readonly stored: Uint8Array } | { readonly error: unknown }
}

/** `[from, to)`, in order. */
export async function* fetchAhead(segments: SegmentStore, from: number, to: number): AsyncIterable<FetchedSegment> {
  const waiting: Promise<FetchedSegment>[] = []
  let largest = 1
  let next = from
  while (next < to || waiting.length > 0) {
    const ahead = Math.max(1, Math.min(AHEAD_MAX, Math.floor(AHEAD_BYTES_MAX / largest)))
    // One at first: how large they are is not known yet.
    const room = next === from ? 1 : ahead
    while (next < to && waiting.length < room) waiting.push(fetchOne(segments, next++))
    const fetched = await waiting.shift()!
    if ('stored' in fetched.outcome) largest = Math.max(largest, fetched.outcome.stored.length)
    yield fetched
  }
}

/** Never rejects: nobody may be waiting for it any more. */
async function fetchOne(segments: SegmentStore, number: number): Promise<FetchedSegment> {
  try {
    return { number, outcome: { stored: await segments.fetch(number) } }
  } catch (error) {
    return { number, outcome: { error } }
  }
}
