/** What the service can run, kind by kind. Null: this version cannot, and a configuration that wants it is refused. */
import type { JobKind } from '../contract.ts'
import { certificateKind } from './certificate.ts'
import { checkKind } from './check.ts'
import { compareKind } from './compare.ts'
import type { Kind } from './contract.ts'
import { drillKind } from './drill.ts'
import { pruneKind } from './prune.ts'
import { scrubKind } from './scrub.ts'
import { snapshotKind } from './snapshot.ts'
import type { KindWorld } from './world.ts'

export type Kinds = Readonly<Record<JobKind, Kind | null>>

export function usualKinds(world: KindWorld): Kinds {
  return {
    snapshot: snapshotKind(world),
    check: checkKind(world),
    scrub: scrubKind(world),
    compare: compareKind(world),
    drill: drillKind(world),
    prune: pruneKind(world),
    certificate: certificateKind(world),
  }
}
