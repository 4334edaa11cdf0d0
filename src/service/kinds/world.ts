/** What kinds of work need besides their request. */
import type { PruneRequest } from '../../backup/retention/prune.ts'
import type { SourceConfiguration } from '../../config.ts'
import { assert } from '../../errors.ts'
import type { ConnectionSettings, Source } from '../../source/contract.ts'
import type { ServiceWorld } from '../world.ts'

export interface KindWorld extends ServiceWorld {
  readonly sources: readonly SourceConfiguration[]
  /** To be disposed of by the caller. @throws source-…, missing-secret */
  readonly openSource: (source: SourceConfiguration) => Promise<Source>
  readonly connectionOf: (source: SourceConfiguration) => Promise<ConnectionSettings>
  /** The server for copies; null: one of our own. */
  readonly scratchOf: (source: SourceConfiguration) => Promise<ConnectionSettings | null>
  /** By source; a repository has one grace. */
  readonly retention: Pick<PruneRequest, 'rules' | 'graceMs'>
  /** Bytes of packs that one scrub reads at most; null: all of them. */
  readonly scrubBytesMax: number | null
}

/** A task of one source names one that is configured. */
export function sourceOf({ sources }: KindWorld, name: string | null): SourceConfiguration {
  const found = sources.find((source) => source.name === name)
  assert(found, `${name} is a source of the configuration`)
  return found
}
