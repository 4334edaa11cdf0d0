/**
 * Long random tests, until told to stop. `npm test` runs a bounded set of the same.
 *
 *     npm run soak                                    every part, a minute each
 *     npm run soak -- mutations --minutes 60          one part, for an hour
 *     npm run soak -- mutations --seed 12345          the same again
 *
 * A part is a file under scripts/soak that exports a SoakPart; add it to the list below. It stops at the first thing
 * that does not hold, and prints the seed that shows it.
 */
import { certificatePackages, certificates } from './soak/certificates.ts'
import { decoders } from './soak/decoders.ts'
import { faultSweep } from './soak/fault-sweep.ts'
import { folds } from './soak/folds.ts'
import { histories } from './soak/histories.ts'
import { kills } from './soak/kills.ts'
import { mutations } from './soak/mutations.ts'
import type { SoakPart } from './soak/part.ts'
import { patients, patientsMimic } from './soak/patients.ts'
import { rescue } from './soak/rescue.ts'
import { retention } from './soak/retention.ts'
import { roundTripDump, roundTripS } from './soak/round-trips.ts'
import { serviceWeeks } from './soak/service-weeks.ts'

const parts: readonly SoakPart[] = [
  mutations,
  rescue,
  decoders,
  roundTripS,
  roundTripDump,
  faultSweep,
  kills,
  histories,
  folds,
  retention,
  patients,
  patientsMimic,
  certificates,
  certificatePackages,
  serviceWeeks,
]

const { names, minutes, seed } = readArguments(process.argv.slice(2))
const unknown = names.filter((name) => !parts.some((part) => part.name === name))
if (unknown.length > 0) {
  process.stderr.write(`no part ${unknown.join(', ')}; there are ${parts.map((part) => part.name).join(', ')}\n`)
  process.exit(2)
}
// Asked to stop, it ends the round that it is in, and says what it has.
let isStopped = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (isStopped = true))
for (const part of parts.filter(({ name }) => names.length === 0 || names.includes(name))) {
  if (isStopped) break
  const untilMs = performance.now() + minutes * 60_000
  const tally = await part.run({ seed, isOver: () => isStopped || performance.now() >= untilMs })
  const figures = Object.entries(tally.figures).map(([what, value]) => `, ${what} ${value}`)
  process.stdout.write(`${part.name}: ${tally.tried} tried, seed ${seed}${figures.join('')}\n`)
  for (const failure of tally.failures) process.stdout.write(`${part.name}: FAILED ${failure}\n`)
  if (tally.failures.length > 0) process.exitCode = 1
}

function readArguments(given: readonly string[]): { names: string[]; minutes: number; seed: number } {
  const names: string[] = []
  let minutes = 1
  let seed = Date.now() % 2 ** 31
  for (let at = 0; at < given.length; at += 1) {
    const word = given[at]!
    if (word === '--minutes') minutes = Number(given[++at])
    else if (word === '--seed') seed = Number(given[++at])
    else names.push(word)
  }
  return { names, minutes, seed }
}
