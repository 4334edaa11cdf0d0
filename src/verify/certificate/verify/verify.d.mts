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
