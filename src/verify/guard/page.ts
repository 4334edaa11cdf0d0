/** The report of a guard on paper: 系统变更数据守护报告. Everything on it stands in the signed JSON. */
import {
  bullets,
  callout,
  code,
  dataTable,
  digestCell,
  heading,
  keyValues,
  mark,
  note,
  paragraph,
  type Tone,
} from '../report/blocks.ts'
import { formatCount, formatInstant, type Language, type Phrase, type Zone } from '../report/language.ts'
import type { PdfNode } from '../report/pdf-node.ts'
import { sayIn } from '../report/sentences.ts'
import { printSigned } from '../report/signed-page.ts'
import type { SignedReport } from '../report/signed-report.ts'
import { SMALL } from '../report/style.ts'
import { fill, WORDS } from '../report/words.ts'
import type { GuardEnd, GuardSnapshot, GuardTable, RowCounts } from './guard-report.ts'
import { ALL_GUARD_SENTENCES } from './sentences.ts'
import { GUARD_WORDS, HISTORY_WORDS, PROVED_WORDS } from './words.ts'

interface Page {
  readonly report: GuardEnd
  readonly language: Language
  readonly zone: Zone
  say(phrase: Phrase): string
}

const TONES: Readonly<Record<GuardEnd['history'], Tone>> = { unchanged: 'good', changed: 'bad', undecided: 'warning' }

/** The same report gives the same file. */
export async function guardPdf(signed: SignedReport<GuardEnd>, language: Language, zone: Zone): Promise<Uint8Array> {
  const { report } = signed
  const page: Page = { report, language, zone, say: (phrase) => phrase[language] }
  return await printSigned(signed, language, {
    title: GUARD_WORDS.title,
    writtenAt: report.endedAt,
    content: [
      heading(page.say(GUARD_WORDS.conclusion)),
      callout(TONES[report.history], page.say(HISTORY_WORDS[report.history]), [report.reason]),
      ...scope(page),
      ...rows(page),
      ...schema(page),
      ...exceptions(page),
      heading(page.say(GUARD_WORDS.limits)),
      bullets([GUARD_WORDS.method, GUARD_WORDS.columnLimit, GUARD_WORDS.trafficLimit].map(page.say)),
    ],
    signing: GUARD_WORDS.signing,
    signers: [
      { role: GUARD_WORDS.vendor },
      { role: WORDS.information, withSeal: true },
      { role: WORDS.department },
      { role: GUARD_WORDS.records, withSeal: true },
    ],
  })
}

function scope({ report, zone, say }: Page): PdfNode[] {
  const short: [string, string][] = [
    [say(WORDS.source), report.sourceName],
    [say(WORDS.actor), report.actor],
    [say(GUARD_WORDS.begun), formatInstant(Date.parse(report.createdAt), zone)],
    [say(GUARD_WORDS.ended), formatInstant(Date.parse(report.endedAt), zone)],
  ]
  const end = (name: Phrase, { snapshot, manifestSha256, tables, rows, proved }: GuardSnapshot): [string, PdfNode] => {
    const size = fill(say(GUARD_WORDS.size), { tables: formatCount(tables), rows: formatCount(rows) })
    const isEqual = proved === 'passed'
    return [
      say(name),
      {
        stack: [
          code(snapshot),
          { text: `${size}; ${mark(isEqual ? 'good' : 'warning')} ${say(PROVED_WORDS[proved])}` },
          digestCell(manifestSha256),
        ],
      },
    ]
  }
  return [
    heading(say(GUARD_WORDS.scope)),
    keyValues(short, 2),
    keyValues([
      [say(WORDS.number), code(report.number)],
      [say(GUARD_WORDS.reason), report.reason],
      end(GUARD_WORDS.before, report.before),
      end(GUARD_WORDS.after, report.after),
    ]),
  ]
}

function rows({ report, say }: Page): PdfNode[] {
  const isChanged = ({ rootBefore, rootAfter }: GuardTable) => rootBefore !== rootAfter
  const changed = report.tables.filter(isChanged)
  const same = fill(say(GUARD_WORDS.same), { tables: report.tables.length - changed.length })
  const title = heading(say(GUARD_WORDS.rows))
  if (changed.length === 0) return [title, paragraph(same)]
  const open = ({ allowed, open: left, unknown }: RowCounts) => allowed + left + unknown
  const all = (counts: RowCounts) => open(counts) + counts.closed
  const body = changed.map(({ table, category, rowsBefore, rowsAfter, inserted, updated, deleted }) => [
    // Names may be long: beneath each other, and broken anywhere, they leave room for the counts.
    {
      stack: [
        { text: table, wordBreak: 'break-all' as const },
        { text: category, ...SMALL },
      ],
    },
    ...[rowsBefore, inserted, open(updated), updated.closed, all(deleted), rowsAfter].map(formatCount),
  ])
  const moved = changed.reduce((sum, { movedOut }) => sum + movedOut, 0)
  const { rowsBefore, updatedOpen, updatedClosed, rowsAfter } = GUARD_WORDS
  const counts = [rowsBefore, WORDS.inserted, updatedOpen, updatedClosed, WORDS.deleted, rowsAfter]
  return [
    title,
    dataTable(
      [
        { title: `${say(WORDS.table)} / ${say(WORDS.category)}`, width: '*' },
        ...counts.map((phrase) => ({
          title: say(phrase),
          align: 'right' as const,
          width: phrase === rowsBefore || phrase === rowsAfter ? 48 : 42,
        })),
      ],
      body,
    ),
    paragraph(same),
    ...(moved === 0 ? [] : [paragraph(fill(say(GUARD_WORDS.moved), { rows: formatCount(moved) }))]),
    note(say(GUARD_WORDS.countNote)),
  ]
}

function schema({ report, say }: Page): PdfNode[] {
  const { added, removed, changed } = report.schema
  const columns = report.tables.flatMap(({ table, columnsGone, columnsNew, columnsChanged }) => [
    ...columnsGone.map((name) => `− ${table}.${name}`),
    ...columnsNew.map((name) => `+ ${table}.${name}`),
    ...columnsChanged.map((change) => `${table}.${change}`),
  ])
  const groups = [
    [GUARD_WORDS.added, added],
    [GUARD_WORDS.removed, removed],
    [GUARD_WORDS.changedObjects, changed],
    [GUARD_WORDS.columns, columns],
  ] as const
  const shown = groups.filter(([, items]) => items.length > 0)
  if (shown.length === 0) return [heading(say(GUARD_WORDS.schema)), paragraph(say(GUARD_WORDS.noSchema))]
  return [
    heading(say(GUARD_WORDS.schema)),
    ...shown.flatMap(([phrase, items]) => [heading(`${say(phrase)} (${items.length})`, 2), bullets(items)]),
  ]
}

function exceptions({ report, language, say }: Page): PdfNode[] {
  const title = heading(say(GUARD_WORDS.exceptions))
  if (report.findings.length === 0) return [title, paragraph(say(GUARD_WORDS.noExceptions))]
  const items = report.findings.map(({ severity, message }) => {
    return `${mark(severity === 'error' ? 'bad' : 'warning')} ${sayIn(language, message, ALL_GUARD_SENTENCES)}`
  })
  return [title, bullets(items)]
}
