/** Lines that say what was verified; the keys are those that the package names where none are given. @throws Error saying what is wrong */
export function verifyDirectory(
  directory: string,
  given?: { readonly agent: string | null; readonly ledger: string | null; readonly hospital: string | null },
): string[]
