/** What a part of the soak is: something random that can go on for ever, and says what did not hold. */
export interface SoakRun {
  /** All chance comes from it. */
  readonly seed: number
  /** Asked between two tries. */
  readonly isOver: () => boolean
}

export interface SoakTally {
  readonly tried: number
  /** What did not hold, each with what repeats it. */
  readonly failures: readonly string[]
  readonly figures: Readonly<Record<string, number>>
}

export interface SoakPart {
  readonly name: string
  readonly run: (run: SoakRun) => Promise<SoakTally>
}
