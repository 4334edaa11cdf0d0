/** This machine: files with secrets, room for what is sorted; and the store, as far as a look tells. */
import type { RepositoryConfiguration, SourceConfiguration } from '../../config.ts'
import type { StoreLook } from '../../repository/store/look.ts'
import type { SchemaInfo } from '../../source/contract.ts'
import type { World } from '../../world.ts'
import type { MachineTopic, Seen } from './check.ts'

type Found = Seen<MachineTopic>[]

const OTHERS = 0o077
/** For large transactions that wait for their commit. */
const SPILL_BYTES_MIN = 1024 ** 3
const SECRET_FILES = ['CHARTKEEP_PASSPHRASE_FILE', 'CHARTKEEP_KEY_FILE', 'CHARTKEEP_RECOVERY_SHEET'] as const

export async function lookAtSecrets(
  world: World,
  source: SourceConfiguration,
  repository: RepositoryConfiguration,
): Promise<Found> {
  const { variables } = world
  const files = [
    ...SECRET_FILES.map((name) => variables[name]),
    source.passwordFile,
    source.writer?.passwordFile,
    repository.credentialsFile,
  ].filter((path): path is string => path !== undefined && path !== null && path !== '')
  const found: Found = []
  for (const path of new Set(files)) {
    // One that is not there is said where it is wanted.
    const mode = await world.fileMode(path).catch(() => null)
    if (mode === null || (mode & OTHERS) === 0) continue
    found.push({ topic: 'secret-file-rights', objects: [path], found: `mode ${mode.toString(8).padStart(3, '0')}` })
  }
  const set = (name: string) => (variables[name] ?? '') !== ''
  if (set('CHARTKEEP_PASSPHRASE')) {
    found.push({ topic: 'secret-in-environment', objects: ['CHARTKEEP_PASSPHRASE'], found: 'CHARTKEEP_PASSPHRASE' })
  }
  if (set('CHARTKEEP_RECOVERY_SHEET')) {
    found.push({
      topic: 'recovery-sheet-in-use',
      objects: ['CHARTKEEP_RECOVERY_SHEET'],
      found: 'CHARTKEEP_RECOVERY_SHEET',
    })
  }
  return found
}

export function storeFindings(look: StoreLook, url: string): Found {
  const objects = [url.split('?')[0] ?? '']
  const found: Found = []
  if (look.mayWrite === false) found.push({ topic: 'store-read-only', objects, found: 'W_OK: no' })
  if (look.freeBytes !== null) {
    found.push({ topic: 'store-space', objects, found: `${gibibytes(look.freeBytes)} GiB`, measure: look.freeBytes })
  }
  for (const rule of look.expiryRules ?? []) found.push({ topic: 'store-expires', objects, found: rule })
  if (url.startsWith('s3:') && look.keepsVersions === false) {
    found.push({ topic: 'store-without-versions', objects, found: 'versioning: off' })
  }
  if (look.clockOffsetSeconds !== null) {
    const words = `${look.clockOffsetSeconds.toFixed(1)} s`
    // The header has whole seconds, so that half a second is nothing.
    const measure = Math.max(0, Math.abs(look.clockOffsetSeconds) - 0.5)
    found.push({ topic: 'clock-store', objects, found: words, measure })
  }
  return found
}

/** Which of its topics the store gives no answer to. */
export function storeSilences(
  look: StoreLook,
  url: string,
): { readonly topic: MachineTopic; readonly reason: string }[] {
  if (!url.startsWith('s3:')) return []
  const reason = 'the store does not say'
  return [
    ...(look.expiryRules === null ? [{ topic: 'store-expires' as const, reason }] : []),
    ...(look.keepsVersions === null ? [{ topic: 'store-without-versions' as const, reason }] : []),
    ...(look.clockOffsetSeconds === null ? [{ topic: 'clock-store' as const, reason }] : []),
  ]
}

/** Two tables are sorted at a time, and their text is about as large as they are. */
export function lookAtSpill(directory: string, freeBytes: number, schema: SchemaInfo): Found {
  const largest = schema.tables.map(({ estimatedBytes }) => estimatedBytes).sort((a, b) => b - a)
  const wanted = SPILL_BYTES_MIN + (largest[0] ?? 0) + (largest[1] ?? 0)
  if (freeBytes >= wanted) return []
  const found = `${gibibytes(freeBytes)} GiB of ${gibibytes(wanted)} GiB`
  return [{ topic: 'spill-space', objects: [directory], found }]
}

function gibibytes(bytes: number): string {
  return (bytes / 1024 ** 3).toFixed(1)
}
