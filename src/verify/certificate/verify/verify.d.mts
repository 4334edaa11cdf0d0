/** Keys that must be the package's own; null: whichever it names. */
export interface GivenKeys {
  readonly agent: string | null
  readonly ledger: string | null
  readonly hospital: string | null
}

/** Lines that say what was verified. @throws Error saying what is wrong */
export function verifyDirectory(directory: string, given?: GivenKeys): string[]

/** The same of files by their names in the package. @throws Error saying what is wrong */
export function verifyFiles(files: ReadonlyMap<string, Buffer>, given?: GivenKeys): string[]

/** Parts of it, for vectors that neither program made. */
export function canonical(value: unknown): string
export function leafHash(bytes: Uint8Array): Buffer
export function merkleRoot(leaves: readonly Uint8Array[]): Buffer
export function rootOfPath(
  leaf: Uint8Array,
  place: { readonly index: number; readonly size: number; readonly path: readonly string[] },
  what: string,
): Buffer
export function demandBound(shown: {
  readonly statement: string
  readonly population: number
  readonly sample: number
  readonly failures: number
  readonly upperBound: number
  readonly isDone: boolean
}): void
