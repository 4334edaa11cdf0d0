/**
 * A column of few templates (pattern.ts) and the numbers in them (number-stream.ts).
 *
 *     varint templates, 1 to 255 · each template, ended by 0A
 *     [more than one template: for each row the number of its template, one byte]
 *     for each slot, as far as any template goes: its numbers, of the rows whose template has it
 *
 * So a column of NULL and whole numbers is two templates and one list of numbers, and one of five words is five
 * templates and none.
 */
import { decodeNumbers, encodeNumbers, type NumberSource, REFERENCES_MAX } from './number-stream.ts'
import { type FieldPattern, fillTemplate, patternOf, SLOT_MARK, SLOTS_MAX, slotsOf } from './pattern.ts'
import { ByteReader, ByteWriter } from './varint.ts'

const TEMPLATES_MAX = 255
/** Beyond these, so many for each row, templates cost more than they save. */
const ROWS_PER_TEMPLATE = 8
const ROWS_PER_WORD = 4
const TEMPLATES_ALWAYS = 4
const NEWLINE = 0x0a

/** Numbers of a column that later ones may refer to: for each row what its first slot had last. */
export interface ColumnNumbers {
  /** Of the first slot that a template has; 0: none has any. */
  readonly kind: number
  readonly values: Float64Array
}

interface Patterns {
  readonly templates: readonly Buffer[]
  /** For each row. */
  readonly indexes: Uint8Array
  readonly numbers: readonly (readonly number[])[]
  readonly slots: number
}

/** Null, and nothing written, where the fields have no pattern. `earlier` are the columns before. */
export function encodePatternColumn(
  fields: readonly Buffer[],
  earlier: readonly (ColumnNumbers | null)[],
  out: ByteWriter,
): ColumnNumbers | null {
  const patterns = patternsOf(fields)
  if (!patterns) return null
  out.varint(patterns.templates.length)
  for (const template of patterns.templates) {
    out.bytes(template)
    out.byte(NEWLINE)
  }
  if (patterns.templates.length > 1) out.bytes(patterns.indexes)
  const kind = firstKind(patterns.templates)
  for (let slot = 0; slot < patterns.slots; slot += 1) {
    const rows = rowsWith(patterns.numbers, slot)
    const values = Float64Array.from(rows, (row) => patterns.numbers[row]![slot]!)
    const references = slot === 0 ? referencesOf(kind, rows, earlier) : []
    encodeNumbers(values, references, out)
  }
  return { kind, values: firstNumbers(patterns.numbers) }
}

/**
 * With numbers, where a template has one at most; else whole fields as words, where they repeat; else with numbers
 * again. Words beside each other repeat in ways that zstd finds, and numbers within them hide.
 */
function patternsOf(fields: readonly Buffer[]): Patterns | null {
  const withNumbers = gather(fields, patternOf, limit(fields.length, ROWS_PER_TEMPLATE))
  if (withNumbers && withNumbers.slots <= 1) return withNumbers
  return gather(fields, (template) => ({ template, numbers: [] }), limit(fields.length, ROWS_PER_WORD)) ?? withNumbers
}

function limit(rows: number, rowsPerTemplate: number): number {
  return Math.min(TEMPLATES_MAX, Math.max(TEMPLATES_ALWAYS, Math.floor(rows / rowsPerTemplate)))
}

function gather(
  fields: readonly Buffer[],
  pattern: (field: Buffer) => FieldPattern | null,
  templatesMax: number,
): Patterns | null {
  const known = new Map<string, number>()
  const templates: Buffer[] = []
  const indexes = new Uint8Array(fields.length)
  const numbers: (readonly number[])[] = []
  for (const [row, field] of fields.entries()) {
    const found = pattern(field)
    if (!found) return null
    const name = found.template.toString('latin1')
    let index = known.get(name)
    if (index === undefined) {
      if (templates.length === templatesMax) return null
      index = templates.push(found.template) - 1
      known.set(name, index)
    }
    indexes[row] = index
    numbers.push(found.numbers)
  }
  const slots = numbers.reduce((most, each) => Math.max(most, each.length), 0)
  return { templates, indexes, numbers, slots }
}

function firstKind(templates: readonly Buffer[]): number {
  for (const template of templates) {
    const mark = template.indexOf(SLOT_MARK)
    if (mark >= 0) return template[mark + 1]!
  }
  return 0
}

function rowsWith(numbers: readonly (readonly number[])[], slot: number): number[] {
  return [...numbers.keys()].filter((row) => numbers[row]!.length > slot)
}

function firstNumbers(numbers: readonly (readonly number[])[]): Float64Array {
  let last = 0
  return Float64Array.from(numbers, (each) => {
    last = each[0] ?? last
    return last
  })
}

/** The nearest columns before whose first slot is of the same kind. */
function referencesOf(kind: number, rows: readonly number[], earlier: readonly (ColumnNumbers | null)[]) {
  const references = []
  for (let column = earlier.length - 1; column >= 0 && references.length < REFERENCES_MAX; column -= 1) {
    const other = earlier[column]
    if (other?.kind === kind) references.push({ column, values: Float64Array.from(rows, (row) => other.values[row]!) })
  }
  return references
}

export interface DecodedPatterns {
  /** Every field, each ended by 0A. */
  readonly bytes: Buffer
  /** rows + 1 entries. */
  readonly starts: Uint32Array
  /** As of ColumnNumbers; null where no template has a slot. */
  readonly values: Float64Array | null
}

/**
 * `earlier` has the numbers of the columns before, null for those that have none; `bytesMax` bounds the text.
 * @throws repository-damaged
 */
export function decodePatternColumn(
  bytes: Uint8Array,
  rows: number,
  earlier: readonly (Float64Array | null)[],
  { bytesMax, what }: { readonly bytesMax: number; readonly what: string },
): DecodedPatterns {
  const reader = new ByteReader(bytes, what)
  const templates = readTemplates(reader)
  const indexes = templates.length > 1 ? reader.bytes(rows) : new Uint8Array(rows)
  const slots = templates.map((template) => slotsOf(template, reader))
  for (const index of indexes) if (index >= templates.length) throw reader.damaged('names a template that it lacks')
  const streams = readStreams(reader, indexes, slots, (column) => Boolean(earlier[column]))
  reader.end()

  const out = new ByteWriter(rows * 16)
  const starts = new Uint32Array(rows + 1)
  const values = new Float64Array(rows)
  let value = 0
  for (let row = 0; row < rows; row += 1) {
    const current = (column: number): number => earlier[column]![row]!
    const next = (slot: number): number => {
      const number = streams[slot]!.next(current)
      if (slot === 0) value = number
      return number
    }
    out.bytes(fillTemplate(templates[indexes[row]!]!, next, reader))
    out.byte(NEWLINE)
    if (out.length > bytesMax) throw reader.damaged('holds more text than its parent says')
    starts[row + 1] = out.length
    values[row] = value
  }
  return { bytes: out.done(), starts, values: streams.length > 0 ? values : null }
}

function readTemplates(reader: ByteReader): Buffer[] {
  const count = reader.varint()
  if (count < 1 || count > TEMPLATES_MAX) throw reader.damaged(`claims ${count} templates`)
  return Array.from({ length: count }, () => reader.until(NEWLINE))
}

function readStreams(
  reader: ByteReader,
  indexes: Uint8Array,
  slots: readonly number[],
  hasNumbers: (column: number) => boolean,
): NumberSource[] {
  const rows = new Array<number>(slots.length).fill(0)
  for (const index of indexes) rows[index]! += 1
  const most = Math.max(...slots)
  if (most > SLOTS_MAX) throw reader.damaged(`has a template of ${most} slots`)
  return Array.from({ length: most }, (_, slot) => {
    const count = rows.reduce((sum, each, template) => sum + (slots[template]! > slot ? each : 0), 0)
    return decodeNumbers(reader, count, hasNumbers)
  })
}
