/**
 * The words of a probe: what is asked of a store, what it may answer, and the corner in which it is tried.
 */
import type { Store } from './contract.ts'

export interface ProbeAnswer {
  readonly answer: 'yes' | 'no' | 'unknown'
  /** One line for people. */
  readonly detail: string
}

export const probeQuestions = {
  conditionalPut: 'refuses a second put of a key',
  racingPut: 'lets one of racing writers win',
  listAfterPut: 'lists an object as soon as it is put, and not once it is deleted',
  exactRanges: 'gives exactly the bytes asked for',
  deletes: 'deletes',
  checksumRefused: 'refuses bytes that are not what their checksum says',
  versioning: 'keeps old versions',
  objectLock: 'refuses to delete what is locked',
} as const

export type ProbeQuestion = keyof typeof probeQuestions

export interface StoreProbe {
  readonly url: string
  readonly answers: Readonly<Record<ProbeQuestion, ProbeAnswer>>
}

/** A place to try things in. */
export interface ProbeCorner {
  /** The store's own address, not the corner's. */
  readonly url: string
  /** Two handles that put without a look before, so that what refuses is the store. */
  readonly handles: readonly [Store, Store]
  /** What can be asked only in the store's own words. */
  ownAnswers(): Promise<Pick<StoreProbe['answers'], 'checksumRefused' | 'versioning' | 'objectLock'>>
  clear(): Promise<void>
}

export function yes(detail = ''): ProbeAnswer {
  return { answer: 'yes', detail }
}

export function no(detail: string): ProbeAnswer {
  return { answer: 'no', detail }
}

export function unknown(detail: string): ProbeAnswer {
  return { answer: 'unknown', detail }
}
