/**
 * A draft as YAML that works as it is, each guess with its reason beside it. Names are written by the YAML library;
 * comments come from the catalogue and are cut to one short line.
 */
import { stringify } from 'yaml'
import type { DraftConfiguration } from '../discover.ts'
import type { LinkGuess } from './links.ts'

const COMMENT_LENGTH_MAX = 110
const REPOSITORY_URL = 'file:///srv/chartkeep'

export interface RenderOptions {
  /** Where the backups shall go. */
  readonly repositoryUrl?: string
}

export function renderDraft(draft: DraftConfiguration, options: RenderOptions = {}): string {
  const lines = [
    `# Drafted by \`chartkeep discover\` from ${oneLine(draft.databaseName)}, server ${oneLine(draft.serverVersion)}.`,
    '# Every guess says why it was made: review them, above all the patient and the anchors.',
    'repository:',
    '  # A directory, or s3://bucket/prefix?endpoint=https://store.hospital:9000',
    `  url: ${scalar(options.repositoryUrl ?? REPOSITORY_URL)}`,
    'sources:',
    `  ${scalar(draft.sourceName)}:`,
    '    # The password comes from PGPASSWORD, a pgpass file, or passwordFile: never from here.',
    `    url: ${scalar(draft.url)}`,
    ...renderPatient(draft),
    ...renderAnchors(draft),
    ...renderCategories(draft),
    ...renderLinks(draft.links),
  ]
  return `${lines.join('\n')}\n`
}

function renderPatient({ patient }: DraftConfiguration): string[] {
  if (patient === null) {
    return [
      "    # No table looks like the patients': all rows are kept by primary key. If there is one, name it:",
      '    # patient: { table: public.patient, key: patient_id, label: [mrn] }',
    ]
  }
  const label = `[${patient.label.map(flowScalar).join(', ')}]`
  return [
    `    # ${comment(patient.reason)}`,
    '    patient:',
    `      table: ${scalar(patient.table)}`,
    `      key: ${scalar(patient.key)}`,
    `      label: ${label}${patient.label.length === 0 ? '  # no column looks like a record number' : ''}`,
  ]
}

function renderAnchors({ anchors, unanchored }: DraftConfiguration): string[] {
  const nobody =
    unanchored.length === 0
      ? []
      : ['    # No way to a patient was found from these:', ...unanchored.map((table) => `    #   ${comment(table)}`)]
  if (anchors.length === 0) return nobody
  const entries = anchors.map(({ table, column, reason }) => `      ${pair(table, column)}  # ${comment(reason)}`)
  return ['    # The column that leads to the patient.', '    anchors:', ...entries, ...nobody]
}

function renderCategories({ categories }: DraftConfiguration): string[] {
  if (categories.length === 0) return []
  const groups = [...Map.groupBy(categories, ({ category }) => category)]
  const entries = groups.flatMap(([category, guesses]) => [
    `      ${scalar(category)}:`,
    ...guesses.map(({ table, reason }) => `        - ${scalar(table)}  # ${comment(reason)}`),
  ])
  return ['    # What the certificate counts by.', '    categories:', ...entries]
}

function renderLinks(links: readonly LinkGuess[]): string[] {
  if (links.length === 0) return []
  const entries = links.map((link) => `      - ${scalar(linkText(link))}  # ${comment(link.reason)}`)
  return ['    # References that the database does not declare.', '    links:', ...entries]
}

function linkText({ table, column, referencedTable, referencedColumn }: LinkGuess): string {
  return `${table}.${quote(column)} -> ${referencedTable}.${quote(referencedColumn)}`
}

/** As in `TableInfo.name`: quoted only where it must be. */
function quote(column: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(column) ? column : `"${column.replaceAll('"', '""')}"`
}

/** On one line: what holds control characters is written as JSON, which is YAML too. */
function scalar(value: string): string {
  return /\p{Control}/u.test(value) ? JSON.stringify(value) : stringify(value, { lineWidth: 0 }).trimEnd()
}

/** Inside brackets more characters mean something. */
function flowScalar(value: string): string {
  return /^[\p{Letter}\p{Number}_]+$/u.test(value) ? scalar(value) : JSON.stringify(value)
}

function pair(key: string, value: string): string {
  return `${scalar(key)}: ${scalar(value)}`
}

function comment(text: string): string {
  const line = oneLine(text)
  return line.length > COMMENT_LENGTH_MAX ? `${line.slice(0, COMMENT_LENGTH_MAX - 1)}…` : line
}

function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{Control}]+/gu, ' ').trim()
}
