/**
 * `certificate-packages`: bytes of a package and of a patient's proof changed by the thousand; each must be refused.
 *
 * `certificates`: the reference ward at work by the thousand, with losses planted past its application: a certificate names exactly these.
 * What `npm test` does with two seeds (test/verify/certificate/ward.test.ts).
 */

import { makeRepository } from '../../test/support/repository.ts'
import { acceptedChanges, issuePackage } from '../../test/verify/certificate/package-rig.ts'
import { openWardSite, type WardSite } from '../../test/verify/certificate/ward-round.ts'
import { startPostgres } from '../support/postgres-server.ts'
import type { SoakPart, SoakRun, SoakTally } from './part.ts'

export const certificates: SoakPart = { name: 'certificates', run }
export const certificatePackages: SoakPart = { name: 'certificate-packages', run: runPackages }

const TURNS = 120
const ROWS = 6_000
/** A database and a repository serve so many rounds. */
const ROUNDS_AT_ONCE = 100
/** A round mostly waits, for its server and its disk: with TMPDIR in memory the disk is none. */
const WARDS_AT_ONCE = 3

async function run({ seed, isOver }: SoakRun): Promise<SoakTally> {
  const failures: string[] = []
  const figures = { 'deeds of the ward': 0, changes: 0, planted: 0 }
  let tried = 0
  const isDone = () => isOver() || failures.length > 0
  await Promise.all(Array.from({ length: WARDS_AT_ONCE }, playWards))
  return { tried, failures, figures }

  async function playWards(): Promise<void> {
    while (!isDone()) {
      await using server = await startPostgres()
      await using made = await makeRepository()
      await using site = await openWardSite(server, made, ROWS)
      for (let round = 0; round < ROUNDS_AT_ONCE && !isDone(); round += 1) await playRound(site)
    }
  }

  async function playRound(site: WardSite): Promise<void> {
    const own = (seed + tried) % 2 ** 31
    tried += 1
    const found = await site.round(own, TURNS)
    figures['deeds of the ward'] += found.actions
    figures.changes += found.changes
    figures.planted += found.planted.length
    const [planted, accused] = [found.planted.join(', '), found.accused.join(', ')]
    if (planted !== accused)
      failures.push(`seed ${own}: planted ${planted || 'nothing'}, accused ${accused || 'nothing'}`)
    if (!found.balanceCloses) failures.push(`seed ${own}: the rows do not add up`)
  }
}

const CHANGES_AT_ONCE = 500

async function runPackages({ seed, isOver }: SoakRun): Promise<SoakTally> {
  const failures: string[] = []
  let tried = 0
  await using rig = await issuePackage()
  for (let round = 0; !isOver() && failures.length === 0; round += 1) {
    const files = round % 2 === 0 ? rig.files : rig.patient
    const accepted = acceptedChanges(files, [...files.keys()], {
      numRuns: CHANGES_AT_ONCE,
      seed: (seed + round) % 2 ** 31,
    })
    tried += CHANGES_AT_ONCE
    if (accepted) failures.push(`seed ${seed + round}: accepted ${JSON.stringify(accepted)}`)
  }
  return { tried, failures, figures: { 'bytes changed': tried } }
}
