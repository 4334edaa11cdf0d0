/**
 * What a store really does, found by trying and never by its name (F37): at `init`, at start, and on demand.
 *
 * Everything is tried in a corner that no listing of the repository shows, and cleared away after. An answer is `yes`,
 * `no`, or `unknown` where it could not be tried; `unknown` never counts as yes.
 */
import { randomBytes } from 'node:crypto'
import { Failure } from '../../errors.ts'
import type { Store, StoreSettings } from './contract.ts'
import { openDirectoryCorner } from './directory-probe.ts'
import { createStore } from './open.ts'
import { no, type ProbeAnswer, type ProbeQuestion, probeQuestions, type StoreProbe, yes } from './probe-answer.ts'
import { openS3Corner } from './s3-probe.ts'

/** A repository cannot be kept where one of these is not `yes`: what was written could be lost from sight, or torn. */
const needed: readonly ProbeQuestion[] = ['listAfterPut', 'exactRanges', 'deletes']
const RACING_WRITERS = 8
const LISTING_ROUNDS = 5
const RANGED_BYTES = 200_000

/** @throws bad-configuration, missing-secret, repository-not-found, store-unreachable, store-refused, store-full */
export async function probeStore(settings: StoreSettings): Promise<StoreProbe> {
  const name = randomBytes(8).toString('hex')
  const isDirectory = settings.url.startsWith('file:')
  const corner = isDirectory ? await openDirectoryCorner(settings.url, name) : await openS3Corner(settings, name)
  try {
    const [first] = corner.handles
    const answers = {
      conditionalPut: await tryConditionalPut(first),
      racingPut: await tryRacingPut(corner.handles),
      listAfterPut: await tryListing(corner.handles),
      exactRanges: await tryRanges(first),
      deletes: await tryDelete(first),
      ...(await corner.ownAnswers()),
    }
    return { url: corner.url, answers }
  } finally {
    await corner.clear()
    for (const handle of corner.handles) await handle.close()
  }
}

/**
 * For `init`: makes the store where it is a directory, and tries it before anything is kept there.
 * @throws store-unsuitable; as `probeStore`
 */
export async function createSuitableStore(settings: StoreSettings): Promise<{ store: Store; probe: StoreProbe }> {
  const store = await createStore(settings)
  try {
    const probe = await probeStore(settings)
    assertSuitable(probe)
    return { store, probe }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** @throws store-unsuitable when a repository cannot be kept there */
export function assertSuitable(probe: StoreProbe): void {
  const lacking = needed.filter((question) => probe.answers[question].answer !== 'yes')
  if (lacking.length === 0) return
  const list = lacking.map((question) => `${probeQuestions[question]}: ${probe.answers[question].detail}`)
  throw new Failure(
    'store-unsuitable',
    `${probe.url} cannot hold a repository; it must be one that ${list.join('; ')}`,
    {
      hints: ['Use another store, or look whether a gateway between here and the store caches or rewrites answers.'],
    },
  )
}

/** For the audit: what the store was found to do when the repository was made. */
export function summarizeProbe({ answers }: StoreProbe): string {
  return Object.entries(answers)
    .map(([question, { answer }]) => `${question} ${answer}`)
    .join(', ')
}

/** One line a question, for people. */
export function renderProbe(probe: StoreProbe): string {
  const questions = Object.entries(probeQuestions) as [ProbeQuestion, string][]
  const lines = questions.map(([question, text]) => {
    const { answer, detail } = probe.answers[question]
    return `${answer.padEnd(8)}${text}${detail === '' ? '' : `: ${detail}`}`
  })
  return [`store   ${probe.url}`, ...lines].join('\n')
}

async function tryConditionalPut(store: Store): Promise<ProbeAnswer> {
  await store.put('condition', randomBytes(16))
  const code = await outcomeOf(store.put('condition', randomBytes(16)))
  if (code === 'object-exists') return yes()
  return no(code === 'put' ? 'the second put overwrote the first' : `the second put ended as ${code}`)
}

async function tryRacingPut(handles: readonly [Store, Store]): Promise<ProbeAnswer> {
  const writers = Array.from({ length: RACING_WRITERS }, (_, index) => handles[index % 2 === 0 ? 0 : 1])
  const outcomes = await Promise.all(writers.map((store) => outcomeOf(store.put('race', randomBytes(16)))))
  const winners = outcomes.filter((outcome) => outcome === 'put').length
  const detail = `${winners} of ${RACING_WRITERS} racing writers were told that they had put it`
  return winners === 1 ? yes(detail) : no(detail)
}

async function tryListing([writer, reader]: readonly [Store, Store]): Promise<ProbeAnswer> {
  for (let round = 0; round < LISTING_ROUNDS; round += 1) {
    const key = `listed/${round}`
    await writer.put(key, randomBytes(16))
    if (!(await isListed(reader, key))) return no('an object that was put was not in the listing')
    await writer.delete(key)
    if (await isListed(reader, key)) return no('an object that was deleted was still in the listing')
  }
  return yes()
}

async function isListed(store: Store, key: string): Promise<boolean> {
  const listed = await Array.fromAsync(store.list('listed/'))
  return listed.some((object) => object.key === key)
}

async function tryRanges(store: Store): Promise<ProbeAnswer> {
  const bytes = randomBytes(RANGED_BYTES)
  await store.put('ranged', bytes)
  const ranges = [
    [0, 1],
    [65_535, 65_537],
    [100_000, 150_000],
    [RANGED_BYTES - 1, RANGED_BYTES],
  ] as const
  for (const [start, end] of ranges) {
    const got = await valueOrFailure(store.getRange('ranged', start, end))
    const isExact = got instanceof Uint8Array && Buffer.compare(got, bytes.subarray(start, end)) === 0
    if (!isExact) return no(`bytes [${start}, ${end}) came back wrong`)
  }
  const beyond = await outcomeOf(store.getRange('ranged', RANGED_BYTES - 10, RANGED_BYTES + 10))
  return beyond === 'repository-damaged' ? yes() : no(`a range beyond the end ended as ${beyond}`)
}

async function tryDelete(store: Store): Promise<ProbeAnswer> {
  await store.put('deleted', randomBytes(16))
  await store.delete('deleted')
  return (await store.stat('deleted')) === null ? yes() : no('an object that was deleted is still there')
}

/** `put` when it succeeded, else the failure's code. A store that does not answer ends the probe. */
async function outcomeOf(work: Promise<unknown>): Promise<string> {
  const result = await valueOrFailure(work)
  return result instanceof Failure ? result.code : 'put'
}

async function valueOrFailure<T>(work: Promise<T>): Promise<T | Failure> {
  try {
    return await work
  } catch (error) {
    if (error instanceof Failure && error.code !== 'store-unreachable') return error
    throw error
  }
}
