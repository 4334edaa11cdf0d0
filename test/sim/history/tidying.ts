/** What an administrator does amid a history besides backing up: old snapshots are forgotten, and what is stored is proved. */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { forget } from '../../../src/backup/retention/forget.ts'
import { prune } from '../../../src/backup/retention/prune.ts'
import { scrubRepository } from '../../../src/verify/scrub.ts'
import { scrubPack } from '../../../src/verify/scrub-pack.ts'
import { rulesOf } from '../../backup/retention/retention-sim.ts'
import { never } from '../../support/repository.ts'
import type { FollowOptions } from './chartkeep.ts'

const NEWEST_ONLY = rulesOf({ last: 1 })

/** While capture writes, and no backup does: that is why no grace is needed. */
export async function keepNewestOnly({ made, sourceName }: FollowOptions): Promise<void> {
  const { repository } = made
  const world = { repository, actor: 'history', nowMs: () => Date.now(), random: randomBytes, signal: never() }
  await forget({ ...world, sourceName, rules: NEWEST_ONLY })
  const sleep = async (ms: number) => {
    await setTimeout(ms)
  }
  const order = { ...world, rules: new Map([[sourceName, NEWEST_ONLY]]), graceMs: 0, sleep }
  // The first only says what is to go.
  for (let run = 0; run < 2; run += 1) await prune(order)
}

/** Every row of every snapshot that is kept. @returns findings */
export async function judgeStored({ made }: FollowOptions): Promise<string[]> {
  const { findings } = await scrubRepository({
    repository: made.repository,
    lanes: 1,
    scrubPack: (from, task) => scrubPack(from.store, task),
    random: randomBytes,
    nowMs: () => Date.now(),
    signal: never(),
  })
  return findings.filter(({ severity }) => severity === 'error').map(({ kind, object }) => `scrub: ${kind} ${object}`)
}
