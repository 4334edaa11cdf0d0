/**
 * The shape of `chartkeep.yaml` as it is written, and what is said about a file that does not have it: every problem at
 * once, each with its line.
 */
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { drillShape } from './config-drill.ts'
import { explainShape, knownExplainKeys } from './config-explain.ts'
import { positionOf, unknownKeyText } from './config-problems.ts'
import { retentionShape } from './config-retention.ts'
import { knownServiceKeys, serviceShape } from './config-service.ts'
import { Failure } from './errors.ts'

/** A name as the database prints it: quoted only where it must be. */
const NAME = '(?:"(?:[^"]|"")+"|[^\\s".:>]+)'
const TABLE = new RegExp(`^${NAME}\\.${NAME}$`, 'u')
/** Its four groups: table, column, referenced table, referenced column. */
export const LINK = new RegExp(`^(${NAME}\\.${NAME})\\.(${NAME})\\s*->\\s*(${NAME}\\.${NAME})\\.(${NAME})$`, 'u')

const text = z.string().min(1)
const tableName = z.string().regex(TABLE, 'a table is named schema.table')
const sourceName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$/, 'a source is named by up to 40 of A-Z a-z 0-9 _ -')

const patientShape = z.strictObject({ table: tableName, key: text, label: z.array(text).default([]) })
const captureShape = z.strictObject({
  sealSeconds: z.number().min(0.1).max(3600).optional(),
  slotBytesMax: z.int().positive().optional(),
  allowUnlimitedSlot: z.boolean().optional(),
})
const writerShape = z.strictObject({
  url: text,
  passwordFile: text.optional(),
  searchPath: text.optional(),
  triggerColumns: z.array(text).default([]),
})
const scratchShape = z.strictObject({ url: text, passwordFile: text.optional(), caFile: text.optional() })
const sourceShape = z.strictObject({
  url: text,
  passwordFile: text.optional(),
  caFile: text.optional(),
  patient: patientShape.optional(),
  anchors: z.record(tableName, text).default({}),
  categories: z.record(text, z.array(tableName)).default({}),
  links: z.array(z.string().regex(LINK, 'a link is written schema.table.column -> schema.table.column')).default([]),
  exclude: z.array(tableName).default([]),
  capture: captureShape.default({}),
  writer: writerShape.optional(),
  scratch: scratchShape.optional(),
  retention: retentionShape.optional(),
  explain: explainShape.optional(),
  drill: drillShape.optional(),
})
const repositoryShape = z.strictObject({
  url: text.optional(),
  credentialsFile: text.optional(),
  caFile: text.optional(),
})
const fileShape = z.strictObject({
  repository: repositoryShape.optional(),
  sources: z.record(sourceName, sourceShape).default({}),
  approval: z.enum(['two-people', 'one-person']).default('two-people'),
  service: serviceShape.prefault({}),
})

/** Which keys a mapping of the file may have, for the hint at a misspelt one. */
const knownKeysByDepth = (path: readonly PropertyKey[]): readonly string[] => {
  if (path.length === 0) return Object.keys(fileShape.shape)
  if (path[0] === 'service') return knownServiceKeys(path.slice(1))
  if (path[0] === 'repository') return Object.keys(repositoryShape.shape)
  if (path.length === 2) return Object.keys(sourceShape.shape)
  if (path[2] === 'explain') return knownExplainKeys(path.slice(3))
  const shapes = {
    capture: captureShape,
    writer: writerShape,
    scratch: scratchShape,
    patient: patientShape,
    retention: retentionShape,
    drill: drillShape,
  }
  return Object.keys(shapes[path[2] as keyof typeof shapes]?.shape ?? {})
}

export type ParsedSource = z.output<typeof sourceShape>

/** @throws bad-configuration */
export function parseFile(file: string, path: string): z.output<typeof fileShape> {
  const parsed = fileShape.safeParse(parseYaml(file, path))
  if (parsed.success) return parsed.data
  throw problems(file, path, describeIssues(file, parsed.error))
}

function parseYaml(file: string, path: string): unknown {
  const lines = new LineCounter()
  const document = parseDocument(file, { lineCounter: lines, prettyErrors: false })
  const [error] = document.errors
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0])
    throw new Failure('bad-configuration', `${path} line ${line} column ${col}: not YAML: ${error.message}`)
  }
  return document.toJS() ?? {}
}

/** One sentence for each problem, with the line it is on. */
function describeIssues(file: string, error: z.ZodError): string[] {
  return error.issues.flatMap((issue) => {
    if (issue.code !== 'unrecognized_keys') {
      const where = issue.path.length === 0 ? 'the file' : issue.path.join('.')
      return [`line ${positionOf(file, issue.path)}: ${where}: ${innermostMessage(issue)}`]
    }
    const known = knownKeysByDepth(issue.path)
    return issue.keys.map((key) => `line ${positionOf(file, [...issue.path, key])}: ${unknownKeyText(key, known)}`)
  })
}

/** Of a bad key of a mapping, zod tells in an issue within the issue what is bad about it. */
function innermostMessage(issue: z.core.$ZodIssue): string {
  return issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message
}

function problems(file: string, path: string, [first, ...others]: readonly string[]): Failure {
  const hints = others.length === 0 ? [] : [`Also: ${others.join('; ')}.`]
  const lineCount = file.split('\n').length
  return new Failure('bad-configuration', `${path} ${first}`, { hints, context: { lines: lineCount } })
}
