/** Both snapshots looked at in every way there is: structure, every byte, and against the live database. */
import { type StepName, shapes, type VerificationResult } from './result.ts'
import type { Stage } from './stage.ts'

export interface Verified {
  readonly check: VerificationResult
  readonly scrub: VerificationResult
  readonly compare: VerificationResult
}

export async function verify(stage: Stage): Promise<Verified> {
  await stage.story.types('snapshots', ['snapshots', '--config', stage.places.configuration])
  await stage.story.types('status', ['status', '--config', stage.places.configuration])
  const check = await verification(stage, 'check')
  const scrub = await verification(stage, 'scrub')
  const compare = await verification(stage, 'compare')
  return { check, scrub, compare }
}

async function verification({ story, places }: Stage, name: StepName & keyof Verified): Promise<VerificationResult> {
  const found = await story.asks(name, [name, '--config', places.configuration], shapes.verification, describe)
  story.expect(name, found.status === 'passed', `${name} says ${found.status}`)
  return found
}

function describe({ status, findings, looked }: VerificationResult): string {
  const figures = Object.entries(looked).map(([what, count]) => `${what} ${count}`)
  return [
    `${status}, ${findings.length} findings`,
    ...(figures.length > 0 ? [`looked at: ${figures.join(', ')}`] : []),
  ].join('\n')
}
