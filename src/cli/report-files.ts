/** A report that is kept, as files: the signed JSON, and the page in one language or both. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Failure } from '../errors.ts'
import { CHINA, type Language, type Zone } from '../verify/report/language.ts'
import { reportFile, type SignedReport } from '../verify/report/signed-report.ts'

export interface ReportFiles<Report> {
  readonly directory: string
  readonly languages: Language | 'both'
  readonly signed: SignedReport<Report>
  readonly pdf: (signed: SignedReport<Report>, language: Language, zone: Zone) => Promise<Uint8Array>
}

/** @returns the paths. @throws bad-usage where a file is there already, or the directory cannot be written */
export async function writeReportFiles<Report extends { readonly number: string }>({
  directory,
  languages,
  signed,
  pdf,
}: ReportFiles<Report>): Promise<string[]> {
  const files = new Map<string, Uint8Array>([[`${signed.report.number}.json`, reportFile(signed)]])
  for (const language of languages === 'both' ? (['zh', 'en'] as const) : [languages]) {
    files.set(`${signed.report.number}.${language}.pdf`, await pdf(signed, language, CHINA))
  }
  const paths: string[] = []
  for (const [name, bytes] of files) {
    const path = join(resolve(directory), name)
    await save(path, directory, bytes)
    paths.push(path)
  }
  return paths
}

async function save(path: string, directory: string, bytes: Uint8Array): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await writeFile(path, bytes, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    throw new Failure('bad-usage', `cannot write ${path}: ${code}`, {
      hints: ['Name a directory with --out in which no such file is.'],
    })
  }
}
