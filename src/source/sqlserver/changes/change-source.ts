/** The changes of a SQL Server database: its change data capture, and two small tables of ours in it. */
import type { ChangeSource } from '../../change-contract.ts'
import { openChangeStream } from './change-stream.ts'
import { readFingerprint } from './fingerprint.ts'
import { forkNumber } from './fork.ts'
import { behind, packLsn } from './lsn.ts'
import { passMark } from './mark.ts'
import { type Pace, USUAL_PACE } from './pace.ts'
import { planCapture, readSetting } from './plan.ts'
import type { CdcQuestions } from './questions.ts'
import { createSlot, readSlotState } from './slot.ts'

/** @param open a connection of its own, each time */
export function cdcChanges(open: () => Promise<CdcQuestions>, pace: Pace = USUAL_PACE): ChangeSource & AsyncDisposable {
  const kept = new KeptQuestions(open)
  return {
    // A slot holds nothing back here: there is no limit that could be missing.
    plan: (tables) => kept.ask(async (questions) => planCapture(await readSetting(questions), tables)),
    createSlot: (slot, { signal }) =>
      kept.ask((questions) => {
        signal.throwIfAborted()
        return createSlot(questions, slot, pace)
      }),
    slotState: (slot) => kept.ask((questions) => readSlotState(questions, slot)),
    dropSlot: (slot) => kept.ask((questions) => questions.dropSlot(slot)),
    openStream: (options) => openChangeStream(open, pace, options),
    fingerprint: () => kept.ask(readFingerprint),
    requestSeal: () => kept.ask((questions) => passMark(questions, pace)),
    xidHorizon: () =>
      kept.ask(async (questions) => {
        const captured = await questions.captured()
        return String(captured === null ? 0n : behind(captured))
      }),
    timelines: () =>
      kept.ask(async (questions) => {
        const { fork, firstFork, forkPoint } = await questions.recovery()
        if (fork === firstFork || forkPoint === null) return []
        return [{ timeline: forkNumber(firstFork), forkLsn: packLsn(forkPoint) }]
      }),
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  }
}

/** One connection, opened when the first question is asked and again after one failed; one question at a time. */
class KeptQuestions implements AsyncDisposable {
  readonly #open: () => Promise<CdcQuestions>
  #questions: CdcQuestions | null = null
  #last: Promise<unknown> = Promise.resolve()

  constructor(open: () => Promise<CdcQuestions>) {
    this.#open = open
  }

  ask<T>(work: (questions: CdcQuestions) => Promise<T>): Promise<T> {
    const answer = this.#last.then(() => this.#ask(work))
    this.#last = answer.catch(() => {})
    return answer
  }

  async #ask<T>(work: (questions: CdcQuestions) => Promise<T>): Promise<T> {
    this.#questions ??= await this.#open()
    try {
      return await work(this.#questions)
    } catch (error) {
      await this.#drop()
      throw error
    }
  }

  async #drop(): Promise<void> {
    const questions = this.#questions
    this.#questions = null
    await questions?.[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last
    await this.#drop()
  }
}
