/**
 * `chartkeep.yaml`: which repository, which sources, and what their tables mean.
 *
 *     repository:
 *       url: file:///srv/chartkeep
 *     sources:
 *       icu:
 *         url: postgres://chartkeep@db.hospital:5432/icu
 *         patient: { table: public.patient, key: patient_id, label: [mrn] }
 *         anchors: { public.vital_sign: stay_id }
 *         categories: { 生命体征: [public.vital_sign] }
 *         links: [ "public.lab_result.stay_id -> public.icu_stay.stay_id" ]
 *         scratch: { url: sqlserver://drills@drill-server:1433 }
 *         capture: { sealSeconds: 5, slotBytesMax: 20000000000 }
 *         retention: { last: 3, hourly: 24, daily: 14, monthly: 12, window: 14d }
 *
 * Tables are named as `TableInfo.name` prints them; a partitioned table by its topmost parent, for all its leaves. A
 * key that is not known is an error, with its line: a misspelt `exclude` must not end in a backup that nobody
 * wanted. No secret stands in this file (src/secrets.ts): a password in a URL is refused.
 */
import { dirname, resolve } from 'node:path'
import { type DrillConfiguration, toDrill } from './config-drill.ts'
import { toExplainRules } from './config-explain.ts'
import { LINK, type ParsedSource, parseFile } from './config-file.ts'
import { nearestName } from './config-problems.ts'
import { type RetentionConfiguration, toRetention } from './config-retention.ts'
import type { ServiceConfiguration } from './config-service.ts'
import { hasPassword, redactUrl } from './database-url.ts'
import { Failure } from './errors.ts'
import type { ExplainRules } from './verify/certificate/rules.ts'
import type { World } from './world.ts'

export interface Configuration {
  readonly repository: RepositoryConfiguration
  /** In the order of the file. */
  readonly sources: readonly SourceConfiguration[]
  /** Whether a restore of a patient wants a second person. `one-person` says what it is, in every record. */
  readonly approval: 'two-people' | 'one-person'
  /** What `chartkeep serve` does, and whom it tells. */
  readonly service: ServiceConfiguration
}

export type { ServiceConfiguration }

export interface RepositoryConfiguration {
  readonly url: string
  /** Absolute path of a file with an S3 store's credentials. */
  readonly credentialsFile: string | null
  /** Absolute path of the PEM of the authority that signed the store's certificate. */
  readonly caFile: string | null
}

export interface SourceConfiguration {
  readonly name: string
  /** Without a password. */
  readonly url: string
  /** Absolute path. */
  readonly passwordFile: string | null
  /** Absolute path. */
  readonly caFile: string | null
  /** Null for a database that knows no patients: its rows are then kept by primary key only. */
  readonly patient: PatientTable | null
  /** Table to the column whose value leads to the patient. */
  readonly anchors: ReadonlyMap<string, string>
  /** Table to category: the file has it the other way round. */
  readonly categories: ReadonlyMap<string, string>
  readonly links: readonly Link[]
  /** Tables that are not backed up; every manifest lists them (I10). */
  readonly exclude: ReadonlySet<string>
  readonly capture: CaptureConfiguration
  /** The role by which patients are put back; null where nothing of ours may write. */
  readonly writer: WriterConfiguration | null
  /** A server on which copies for drills and certificates are made and dropped; null where none is named. */
  readonly scratch: ScratchConfiguration | null
  /** Null where nobody said what may go: then everything stays. */
  readonly retention: RetentionConfiguration | null
  /** What accounts for changes; null where nothing does but inserts. */
  readonly explain: ExplainRules | null
  readonly drill: DrillConfiguration
}

export interface CaptureConfiguration {
  /** A change is kept this long after it was committed, at the latest; null for what is usual. */
  readonly sealSeconds: number | null
  /** The database is relieved of our slot, and the gap declared, when it keeps more for us; null: never. */
  readonly slotBytesMax: number | null
  /** Somebody takes it upon himself that the server sets slots no limit (P12). */
  readonly allowUnlimitedSlot: boolean
}

export interface WriterConfiguration {
  /** Without a password. */
  readonly url: string
  /** Absolute path. */
  readonly passwordFile: string | null
  /** What the application's triggers find names by, as in `SET search_path = …`; null for the database's usual one. */
  readonly searchPath: string | null
  /** `schema.table.column`: columns that triggers own. */
  readonly triggerColumns: readonly string[]
}

export interface ScratchConfiguration {
  /** Of a server, without a database and without a password. */
  readonly url: string
  /** Absolute path. */
  readonly passwordFile: string | null
  /** Absolute path. */
  readonly caFile: string | null
}

export interface PatientTable {
  readonly table: string
  readonly key: string
  /** Columns by which people know the patient: record number, name. */
  readonly label: readonly string[]
}

/** A reference that the database does not declare as a foreign key. */
export interface Link {
  readonly table: string
  readonly column: string
  readonly referencedTable: string
  readonly referencedColumn: string
}

export interface LoadOptions {
  readonly path: string
  /** `--repo`: wins over `repository.url`. */
  readonly repositoryUrl?: string
  readonly world: World
}

/** @throws bad-configuration */
export async function loadConfiguration(options: LoadOptions): Promise<Configuration> {
  const { path, world } = options
  const file = await world.readTextFile(path)
  if (file === null) {
    throw new Failure('bad-configuration', `no configuration at ${path}`, {
      hints: [
        `Draft one with \`chartkeep discover URL > ${path}\` and review it,`,
        'or name another file with --config.',
      ],
    })
  }
  return parseConfiguration(file, options)
}

/** `options.path` is what problems are reported under, and what relative paths of the file start from. */
export function parseConfiguration(file: string, options: Omit<LoadOptions, 'world'>): Configuration {
  const { repository, sources, approval, service } = parseFile(file, options.path)
  const url = options.repositoryUrl ?? repository?.url
  if (url === undefined) {
    throw new Failure('bad-configuration', `no repository.url in ${options.path}`, {
      hints: ['Add it, for example `repository: { url: "file:///srv/chartkeep" }`, or give --repo URL.'],
    })
  }
  refusePassword(url, 'repository.url')
  const absolute = (path: string | undefined) => (path === undefined ? null : resolve(dirname(options.path), path))
  return {
    repository: {
      url,
      credentialsFile: absolute(repository?.credentialsFile),
      caFile: absolute(repository?.caFile),
    },
    sources: Object.entries(sources).map(([name, source]) => toSource(name, source, absolute)),
    approval,
    service: absoluteFiles(service, absolute),
  }
}

/** Relative paths start from the file, wherever the service is started from. */
function absoluteFiles(
  service: ServiceConfiguration,
  absolute: (path: string | undefined) => string | null,
): ServiceConfiguration {
  const placed = Object.entries(service.alarms).map(([name, value]) => {
    if (typeof value !== 'object' || value === null) return [name, value]
    const parts = Object.entries(value).map(([key, part]) => {
      return [key, key.endsWith('File') && typeof part === 'string' ? absolute(part) : part]
    })
    return [name, Object.fromEntries(parts)]
  })
  return { ...service, alarms: Object.fromEntries(placed) as ServiceConfiguration['alarms'] }
}

/**
 * The source of that name; the only one when no name is given.
 * @throws bad-usage
 */
export function chooseSource(configuration: Configuration, name?: string): SourceConfiguration {
  const names = configuration.sources.map((source) => source.name)
  if (names.length === 0) {
    throw new Failure('bad-configuration', 'the configuration has no source', {
      hints: ['Draft one with `chartkeep discover URL`.'],
    })
  }
  if (name === undefined && names.length > 1) {
    throw new Failure('bad-usage', `${names.length} sources are configured, and none was named`, {
      hints: [`Give --source with one of: ${names.join(', ')}.`],
    })
  }
  const source = configuration.sources.find((each) => name === undefined || each.name === name)
  if (source !== undefined) return source
  throw new Failure('bad-usage', `no source named ${name}; configured: ${names.join(', ')}`, {
    hints: [`Did you mean ${nearestName(name ?? '', names)}?`],
  })
}

function toSource(
  name: string,
  source: ParsedSource,
  absolute: (path: string | undefined) => string | null,
): SourceConfiguration {
  refusePassword(source.url, `sources.${name}.url`)
  return {
    name,
    url: source.url,
    passwordFile: absolute(source.passwordFile),
    caFile: absolute(source.caFile),
    patient: source.patient ?? null,
    anchors: new Map(Object.entries(source.anchors)),
    categories: byTable(name, source.categories),
    links: source.links.map(parseLink),
    exclude: new Set(source.exclude),
    capture: {
      sealSeconds: source.capture.sealSeconds ?? null,
      slotBytesMax: source.capture.slotBytesMax ?? null,
      allowUnlimitedSlot: source.capture.allowUnlimitedSlot ?? false,
    },
    writer: toWriter(name, source, absolute),
    scratch: toScratch(name, source, absolute),
    retention: toRetention(source.retention),
    explain: toExplainRules(source.explain),
    drill: toDrill(source.drill),
  }
}

function toWriter(
  name: string,
  { writer }: ParsedSource,
  absolute: (path: string | undefined) => string | null,
): WriterConfiguration | null {
  if (!writer) return null
  const { url, searchPath, triggerColumns } = writer
  refusePassword(url, `sources.${name}.writer.url`)
  return { url, passwordFile: absolute(writer.passwordFile), searchPath: searchPath ?? null, triggerColumns }
}

function toScratch(
  name: string,
  { scratch }: ParsedSource,
  absolute: (path: string | undefined) => string | null,
): ScratchConfiguration | null {
  if (!scratch) return null
  refusePassword(scratch.url, `sources.${name}.scratch.url`)
  return { url: scratch.url, passwordFile: absolute(scratch.passwordFile), caFile: absolute(scratch.caFile) }
}

function byTable(name: string, categories: Readonly<Record<string, readonly string[]>>): Map<string, string> {
  const found = new Map<string, string>()
  for (const [category, tables] of Object.entries(categories)) {
    for (const table of tables) {
      const other = found.get(table)
      if (other !== undefined) {
        throw new Failure('bad-configuration', `${table} of source ${name} is in two categories: ${other}, ${category}`)
      }
      found.set(table, category)
    }
  }
  return found
}

function parseLink(link: string): Link {
  const [, table, column, referencedTable, referencedColumn] = LINK.exec(link)!
  return {
    table: table!,
    column: unquote(column!),
    referencedTable: referencedTable!,
    referencedColumn: unquote(referencedColumn!),
  }
}

function unquote(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name
}

function refusePassword(url: string, where: string): void {
  if (!hasPassword(url)) return
  throw new Failure('bad-configuration', `${where} holds a password: ${redactUrl(url)}`, {
    hints: [
      'Take it out of the URL: this file is copied and shown.',
      'Give it by PGPASSWORD, a pgpass file, or passwordFile; for an S3 store by AWS_SECRET_ACCESS_KEY or credentialsFile.',
    ],
  })
}
