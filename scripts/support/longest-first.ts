/**
 * The order of test files. Vitest knows how long each took last time, but a fresh clone has no last time, and then goes by
 * their size: a file of a minute that comes last keeps one core busy while the others have nothing left to do.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Half a minute or more on two idle cores, longest first. */
const LONG = [
  'scripts/demo',
  'backup/identity-postgres',
  'scripts/runbook',
  'cli/interface',
  'verify/damage',
  'verify/drill/drill',
  'verify/doctor/doctor',
  'sim/kill',
  'restore/patient/apply',
  'source/postgres/stream/safety',
  'service/serve-postgres',
  'verify/guard/guard',
  'cli/patient',
].map((name) => `/test/${name}.test.ts`)

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => rank(a) - rank(b))
  }
}

function rank({ moduleId }: TestSpecification): number {
  const place = LONG.findIndex((name) => moduleId.endsWith(name))
  return place === -1 ? LONG.length : place
}
