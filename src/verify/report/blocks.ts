/** What reports are put together from. Each function gives fresh nodes for one place of a document. */
import { groupsOfFour, type Language } from './language.ts'
import type { Alignment, PdfNode } from './pdf-node.ts'
import {
  ACCENT,
  BARE_LAYOUT,
  BOX_LAYOUT,
  CALLOUT_LAYOUT,
  DATA_LAYOUT,
  INK,
  MONOSPACED,
  MUTED,
  PAIRS_LAYOUT,
  RULE,
  SHADE,
  SMALL,
  TEXT_WIDTH,
} from './style.ts'
import { WORDS } from './words.ts'

/** Text, or a node where a cell holds more than that. */
export type Cell = string | PdfNode

export interface Column {
  readonly title: string
  readonly align?: Alignment
  /** Points, `*` or `auto`. */
  readonly width?: number | string
}

/** The mark goes with the word: what a colour would say must stand there in black, too. */
export type Tone = 'good' | 'warning' | 'bad' | 'neutral'

const MARKS: Readonly<Record<Tone, string>> = { good: '✓', warning: '△', bad: '×', neutral: '·' }
const SEAL_HEIGHT = 62

export function heading(text: string, level: 1 | 2 = 1): PdfNode {
  if (level === 2) {
    return { text, fontSize: 10.5, bold: true, color: ACCENT, margin: [0, 9, 0, 3], headlineLevel: 2 }
  }
  return {
    stack: [
      { text, fontSize: 13, bold: true, color: ACCENT, headlineLevel: 1 },
      // Part of the headline: a rule alone is nothing that a heading could stand above.
      { ...rule(0.8, ACCENT, [0, 1, 0, 6]), headlineLevel: 1 },
    ],
    margin: [0, 14, 0, 0],
  }
}

export function paragraph(text: string | readonly PdfNode[]): PdfNode {
  return { text, margin: [0, 0, 0, 6] }
}

/** Smaller and grey: what a reader may skip. */
export function note(text: string): PdfNode {
  return { text, ...SMALL, margin: [0, 2, 0, 6] }
}

export function bullets(items: readonly string[]): PdfNode {
  return { ul: items.map((text) => ({ text, margin: [0, 0, 0, 2] })), markerColor: MUTED, margin: [0, 0, 0, 6] }
}

/** Names beside values, in one pair of columns or two. */
export function keyValues(pairs: readonly (readonly [string, Cell])[], columns: 1 | 2 = 1): PdfNode {
  const half = Math.ceil(pairs.length / columns)
  const body = Array.from({ length: half }, (_, row) =>
    Array.from({ length: columns }, (_, column) => pairCells(pairs[column * half + row])).flat(),
  )
  const widths = columns === 1 ? [128, '*'] : [86, '*', 86, '*']
  return { table: { body, widths, dontBreakRows: true }, layout: PAIRS_LAYOUT, margin: [0, 2, 0, 8] }
}

/** The head is repeated on every page; `total` is set off as the last row. */
export function dataTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  total?: readonly Cell[],
): PdfNode {
  const head = columns.map(({ title, align = 'left' }): PdfNode => {
    return { text: title, bold: true, fontSize: 8.5, color: ACCENT, alignment: align, fillColor: SHADE }
  })
  const cells = (row: readonly Cell[], bold: boolean) =>
    columns.map(({ align = 'left' }, index): PdfNode => {
      const cell = row[index] ?? ''
      const node = typeof cell === 'string' ? { text: cell } : cell
      return { fontSize: 8.5, alignment: align, ...(bold ? { bold, fillColor: SHADE } : {}), ...node }
    })
  const body = [head, ...rows.map((row) => cells(row, false)), ...(total === undefined ? [] : [cells(total, true)])]
  const widths = columns.map(({ width = 'auto' }) => width)
  return {
    table: { body, widths, headerRows: 1, keepWithHeaderRows: 1, dontBreakRows: true },
    layout: DATA_LAYOUT,
    margin: [0, 2, 0, 8],
  }
}

/** An opinion or a result, with its mark. */
export function callout(tone: Tone, title: string, lines: readonly string[] = []): PdfNode {
  const stack: PdfNode[] = [
    { text: `${mark(tone)}  ${title}`, bold: true, fontSize: 13, color: INK },
    ...lines.map((text): PdfNode => ({ text, margin: [0, 3, 0, 0] })),
  ]
  return {
    table: { body: [[{ stack, fillColor: SHADE }]], widths: ['*'], dontBreakRows: true },
    layout: CALLOUT_LAYOUT,
    margin: [2, 6, 0, 10],
  }
}

export function mark(tone: Tone): string {
  return MARKS[tone]
}

export interface TimelineStep {
  /** `T0`, or a time of day. */
  readonly label: string
  readonly time: string
  readonly title: string
  readonly detail?: string
  /** From the start; printed at the right. */
  readonly elapsed: string
}

/** Steps beneath each other, joined by a line. */
export function timeline(steps: readonly TimelineStep[]): PdfNode {
  const body = steps.map((step, index): PdfNode[] => [
    { text: step.label, bold: true, color: ACCENT, alignment: 'right' },
    bead(index === 0, index === steps.length - 1),
    { text: step.time, color: MUTED },
    {
      stack: [{ text: step.title }, ...(step.detail === undefined ? [] : [{ text: step.detail, ...SMALL }])],
    },
    { text: step.elapsed, alignment: 'right' },
  ])
  const layout = { ...BARE_LAYOUT, paddingLeft: () => 4, paddingRight: () => 4, paddingBottom: () => 4 }
  const widths = [24, 8, 76, '*', 78]
  return { table: { body, widths, dontBreakRows: true }, layout, fontSize: 9, margin: [0, 2, 0, 8] }
}

export interface SignaturePlace {
  /** Who signs: `信息科负责人`. */
  readonly role: string
  readonly organisation?: string
  readonly withSeal?: boolean
}

/** Boxes to sign, date and seal by hand, two beside each other. */
export function signatures(places: readonly SignaturePlace[], language: Language): PdfNode {
  const boxes = places.map((place) => signatureBox(place, language))
  if (boxes.length % 2 === 1) boxes.push({ text: '', border: [false, false, false, false] })
  const body = Array.from({ length: boxes.length / 2 }, (_, row) => boxes.slice(2 * row, 2 * row + 2))
  return { table: { body, widths: ['*', '*'], dontBreakRows: true }, layout: BOX_LAYOUT, margin: [0, 4, 0, 0] }
}

/** A digest to be read aloud: its name, then two lines of eight groups. */
export function digest(label: string, hex: string): PdfNode {
  const lines = hex.match(/.{1,32}/g) ?? []
  const stack: PdfNode[] = [
    { text: label, ...SMALL },
    ...lines.map((line): PdfNode => ({ text: groupsOfFour(line), ...MONOSPACED, fontSize: 10 })),
  ]
  return { stack, unbreakable: true, margin: [0, 2, 0, 6] }
}

/** A whole digest in a cell, breaking between its groups. */
export function digestCell(hex: string): PdfNode {
  return { text: groupsOfFour(hex), ...MONOSPACED, fontSize: 7.5, lineHeight: 1.15 }
}

/** An identifier or path: monospaced, broken anywhere. */
export function code(text: string): PdfNode {
  return { text, ...MONOSPACED, wordBreak: 'break-all' }
}

export function qr(text: string, fit = 92): PdfNode {
  return { qr: text, fit, eccLevel: 'M' }
}

export function sideBySide(nodes: readonly PdfNode[], columnGap = 16): PdfNode {
  return { columns: nodes, columnGap, margin: [0, 0, 0, 6] }
}

export function space(points: number): PdfNode {
  return { text: '', margin: [0, points, 0, 0] }
}

/** A node of its own that breaks the page would itself come onto the next one where a page is full, and leave it empty. */
export function onNextPage([first, ...rest]: readonly PdfNode[]): PdfNode[] {
  return first === undefined ? [] : [{ ...first, pageBreak: 'before' }, ...rest]
}

export function rule(
  lineWidth = 0.5,
  lineColor = RULE,
  margin: readonly [number, number, number, number] = [0, 4, 0, 6],
): PdfNode {
  return { canvas: [{ type: 'line', x1: 0, y1: 0, x2: TEXT_WIDTH, y2: 0, lineWidth, lineColor }], margin }
}

/** A share of the widest, drawn: for a column of a table. */
export function bar(share: number, width: number): PdfNode {
  const w = Math.max(0.5, Math.min(1, share) * width)
  return { canvas: [{ type: 'rect', x: 0, y: 3, w, h: 6, color: ACCENT }] }
}

export interface Cover {
  readonly title: string
  /** In the other language, or what the report is about. */
  readonly subtitle: string
  readonly organisation: string
  readonly facts: readonly (readonly [string, Cell])[]
}

/** A first page of its own. */
export function cover({ title, subtitle, organisation, facts }: Cover): PdfNode {
  return {
    stack: [
      { text: organisation, fontSize: 13, color: MUTED, alignment: 'center', margin: [0, 96, 0, 26] },
      { text: title, fontSize: 27, bold: true, color: ACCENT, alignment: 'center', lineHeight: 1.2 },
      { text: subtitle, fontSize: 12, color: MUTED, alignment: 'center', margin: [0, 6, 0, 40] },
      rule(1.2, ACCENT, [0, 0, 0, 30]),
      keyValues(facts),
    ],
    pageBreak: 'after',
  }
}

function pairCells(pair: readonly [string, Cell] | undefined): PdfNode[] {
  if (pair === undefined) return [{ text: '' }, { text: '' }]
  const [name, value] = pair
  return [{ text: name, color: MUTED, fontSize: 9 }, typeof value === 'string' ? { text: value } : value]
}

function signatureBox({ role, organisation, withSeal = false }: SignaturePlace, language: Language): PdfNode {
  const line = (label: string): PdfNode => ({
    columns: [
      { text: label, width: 50, color: MUTED, fontSize: 8.5 },
      { canvas: [{ type: 'line', x1: 0, y1: 13, x2: 140, y2: 13, lineWidth: 0.5, lineColor: MUTED }], width: '*' },
    ],
    margin: [0, 5, 0, 0],
  })
  const stack: PdfNode[] = [
    { text: role, bold: true },
    ...(organisation === undefined ? [] : [{ text: organisation, ...SMALL }]),
    line(WORDS.name[language]),
    line(WORDS.signature[language]),
    line(WORDS.date[language]),
  ]
  if (withSeal) {
    const margin = [0, SEAL_HEIGHT - 18, 0, 0] as const
    stack.push({ text: WORDS.seal[language], color: MUTED, fontSize: 8.5, alignment: 'right', margin })
  }
  return { stack }
}

function bead(isFirst: boolean, isLast: boolean): PdfNode {
  const line = { type: 'line', x1: 4, x2: 4, lineWidth: 0.8, lineColor: RULE } as const
  return {
    canvas: [
      ...(isFirst ? [] : [{ ...line, y1: -6, y2: 3 }]),
      ...(isLast ? [] : [{ ...line, y1: 9, y2: 16 }]),
      { type: 'rect', x: 1.5, y: 3.5, w: 5, h: 5, color: ACCENT },
    ],
  }
}
