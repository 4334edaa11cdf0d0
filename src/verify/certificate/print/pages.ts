/** The pages of a certificate, from its data alone: whatever is printed stands in certificate.json. */
import {
  bullets,
  type Column,
  callout,
  code,
  cover,
  dataTable,
  digest,
  digestCell,
  heading,
  keyValues,
  nextPage,
  note,
  paragraph,
  qr,
  sideBySide,
  signatures,
  type Tone,
} from '../../report/blocks.ts'
import { formatBytes, formatCount, formatInstant, formatSpan, type Language, type Zone } from '../../report/language.ts'
import type { PdfNode } from '../../report/pdf-node.ts'
import { fill, WORDS } from '../../report/words.ts'
import type { BalanceLine, Certificate, Demonstration, Verdict } from '../document.ts'
import { unexplainedOf } from '../opinion.ts'
import {
  DECLARATION,
  EXCEPTION_WORDS,
  LIMITS,
  METHOD,
  NOT_EXAMINED,
  REASON_WORDS,
  RULE_WORDS,
  STATEMENT_WORDS,
  VERDICT_WORDS,
  CERTIFICATE_WORDS as W,
} from './words.ts'

const TONES: Readonly<Record<Verdict, Tone>> = {
  unqualified: 'good',
  qualified: 'warning',
  adverse: 'bad',
  disclaimer: 'bad',
}
const PATIENTS_PRINTED = 12

export function certificatePages(certificate: Certificate, sha256: string, language: Language): PdfNode[] {
  const page = new Pages(certificate, sha256, language)
  return [
    ...page.cover(),
    ...page.conclusion(),
    nextPage(),
    ...page.scope(),
    ...page.method(),
    ...page.authenticity(),
    ...page.completeness(),
    ...page.usability(),
    ...page.safety(),
    ...page.exceptions(),
    ...page.limits(),
    nextPage(),
    ...page.signing(),
  ]
}

class Pages {
  readonly #certificate: Certificate
  readonly #sha256: string
  readonly #language: Language
  readonly #zone: Zone

  constructor(certificate: Certificate, sha256: string, language: Language) {
    this.#certificate = certificate
    this.#sha256 = sha256
    this.#language = language
    this.#zone = { offsetMinutes: certificate.rules.utcOffsetMinutes }
  }

  cover(): PdfNode[] {
    const { number, organisation, system, subject, baseline, end, issuedAt } = this.#certificate
    const other = this.#language === 'zh' ? 'en' : 'zh'
    return [
      cover({
        title: this.#word('title'),
        subtitle: W.title[other],
        organisation,
        facts: [
          [this.#word('number'), code(number)],
          [this.#word('system'), system],
          [this.#word('database'), `${subject.databaseName} (${subject.engine} ${subject.serverVersion})`],
          [this.#word('baseline'), this.#moment(baseline.takenAt)],
          [this.#word('end'), this.#moment(end.takenAt)],
          [this.#word('issued'), this.#moment(issuedAt)],
          [this.#word('dataFile'), digestCell(this.#sha256)],
        ],
      }),
    ]
  }

  conclusion(): PdfNode[] {
    const { opinion, tablesRoot, ledger, exceptions, baseline, end, period } = this.#certificate
    const because = opinion.because.map((rule) => `· ${RULE_WORDS[rule][this.#language]}`)
    return [
      heading(this.#word('conclusion')),
      callout(TONES[opinion.verdict], VERDICT_WORDS[opinion.verdict][this.#language], because),
      paragraph(this.#declaration()),
      this.#statements(),
      keyValues(
        [
          [this.#word('rowsThen'), formatCount(baseline.rows)],
          [this.#word('rowsNow'), formatCount(end.rows)],
          [this.#word('transactions'), formatCount(period.transactions)],
          [this.#word('openExceptions'), formatCount(exceptions.length)],
          ['RTO', this.#newestDrill('rtoSeconds')],
          ['RPO', this.#newestDrill('rpoSeconds')],
        ],
        2,
      ),
      sideBySide([
        {
          stack: [
            digest(this.#word('tablesRoot'), tablesRoot),
            digest(`${this.#word('ledgerRoot')} (${ledger.size})`, Buffer.from(ledger.root, 'base64').toString('hex')),
          ],
          width: '*',
        },
        { ...qr(`sha256:${this.#sha256}`), width: 'auto' },
      ]),
    ]
  }

  scope(): PdfNode[] {
    const { baseline, end, period, tables, notCaptured } = this.#certificate
    const facts = { snapshots: period.snapshots, told: period.toldSteps }
    const columns: Column[] = [
      { title: this.#word('category') },
      { title: this.#word('table'), width: '*' },
      { title: this.#word('rowsThen'), align: 'right' },
      { title: this.#word('rowsNow'), align: 'right' },
      { title: this.#word('told'), align: 'right' },
    ]
    const rows = tables.map((table) => [
      table.category,
      code(table.name),
      table.baseline === null ? '–' : formatCount(table.baseline.rows),
      table.end === null ? '–' : formatCount(table.end.rows),
      this.#word(table.isTold ? 'yes' : 'no'),
    ])
    return [
      heading(this.#word('scope')),
      keyValues([
        [this.#word('baseline'), `${this.#moment(baseline.takenAt)}\n${baseline.snapshotId}`],
        [this.#word('end'), `${this.#moment(end.takenAt)}\n${end.snapshotId}`],
      ]),
      note(fill(this.#word('continuity'), facts)),
      dataTable(columns, rows),
      ...(notCaptured.length === 0
        ? []
        : [bullets(notCaptured.map((one) => `${one.kind} ${one.name}: ${one.reason}`))]),
    ]
  }

  method(): PdfNode[] {
    return [heading(this.#word('method')), ...METHOD.map((text) => paragraph(text[this.#language]))]
  }

  authenticity(): PdfNode[] {
    const { balance, reasons } = this.#certificate
    const lines = byCategory(balance)
    const right = (name: keyof typeof W): Column => ({ title: this.#word(name), align: 'right' })
    const columns: Column[] = [
      { title: this.#word('category'), width: '*' },
      { title: this.#word('month') },
      right('baseline'),
      right('inserted'),
      right('updated'),
      right('deleted'),
      right('unexplained'),
      right('rowsNow'),
    ]
    const cells = (line: BalanceLine) => [
      line.category,
      line.month,
      ...[line.baseline, line.inserted, line.updated, line.deleted].map(formatCount),
      strong(unexplainedOf(line)),
      formatCount(line.now),
    ]
    const total = { ...sumOf(balance), category: WORDS.total[this.#language], month: '' }
    const byReason = Object.keys(REASON_WORDS).flatMap((name) => {
      const changes = reasons.filter(({ reason }) => reason === name).reduce((sum, one) => sum + one.changes, 0)
      return changes === 0
        ? []
        : [[REASON_WORDS[name as keyof typeof REASON_WORDS][this.#language], formatCount(changes)]]
    })
    const closed = { count: formatCount(total.afterClosing), unexplained: formatCount(total.afterClosingUnexplained) }
    return [
      heading(this.#word('authenticity')),
      dataTable(columns, lines.map(cells), cells(total)),
      dataTable([{ title: this.#word('reason'), width: '*' }, right('changes')], byReason),
      note(fill(this.#word('closed'), closed)),
    ]
  }

  completeness(): PdfNode[] {
    const { keyHoles, series } = this.#certificate
    const right = (name: keyof typeof W): Column => ({ title: this.#word(name), align: 'right' })
    const holes = keyHoles.map((one) => [
      code(one.table),
      formatCount(one.atBaseline),
      formatCount(one.byDeletion),
      strong(one.suspect),
    ])
    const months = series.map((one) => [
      code(one.table),
      one.month,
      ...[one.expected, one.found, one.missingAtBaseline].map(formatCount),
      strong(one.lost),
      strong(one.suspect),
    ])
    const table: Column = { title: this.#word('table'), width: '*' }
    return [
      heading(this.#word('completeness')),
      holes.length === 0
        ? paragraph(this.#word('noneCounted'))
        : dataTable([table, right('holesThen'), right('holesDeleted'), right('holesSuspect')], holes),
      months.length === 0
        ? paragraph(this.#word('noSeries'))
        : dataTable(
            [
              table,
              { title: this.#word('month') },
              right('expected'),
              right('found'),
              right('missingThen'),
              right('lost'),
              right('holesSuspect'),
            ],
            months,
          ),
    ]
  }

  usability(): PdfNode[] {
    const { restoredCopy, sampleSeed } = this.#certificate
    const copy = restoredCopy
      ? fill(this.#word('copy'), { ...restoredCopy, rows: formatCount(restoredCopy.rows) })
      : this.#word('noCopy')
    return [
      heading(this.#word('usability')),
      paragraph(copy),
      this.#statements(),
      note(fill(this.#word('seed'), { seed: sampleSeed })),
    ]
  }

  safety(): PdfNode[] {
    const { copies, drills, restores } = this.#certificate
    const facts = {
      packs: formatCount(copies.packs),
      bytes: formatBytes(copies.bytes),
      neverProved: formatCount(copies.neverProved),
      oldest: copies.oldestProof === null ? '–' : this.#moment(copies.oldestProof),
      wrappers: copies.wrappers,
    }
    const columns: Column[] = [
      { title: this.#word('drill'), width: '*' },
      { title: this.#word('result') },
      { title: 'RTO', align: 'right' },
      { title: 'RPO', align: 'right' },
    ]
    const rows = drills.map((one) => [
      `${this.#moment(one.endedAt)}  ${one.scenario}`,
      WORDS[one.passed ? 'passed' : 'failed'][this.#language],
      this.#span(one.rtoSeconds),
      this.#span(one.rpoSeconds),
    ])
    return [
      heading(this.#word('safety')),
      paragraph(fill(this.#word('copies'), facts)),
      heading(this.#word('recovery')),
      rows.length === 0 ? paragraph(this.#word('noDrills')) : dataTable(columns, rows),
      paragraph(fill(this.#word('restores'), { count: restores.length })),
      ...(restores.length === 0 ? [] : [bullets(restores.map((one) => `${one.kind} ${one.id}: ${one.authorisation}`))]),
    ]
  }

  exceptions(): PdfNode[] {
    const { exceptions } = this.#certificate
    const columns: Column[] = [
      { title: this.#word('id') },
      { title: this.#word('kind') },
      { title: this.#word('table'), width: '*' },
      { title: this.#word('month') },
      { title: this.#word('count'), align: 'right' },
      { title: this.#word('patients'), width: 118 },
    ]
    const rows = exceptions.map((one) => {
      const more = one.patients.length > PATIENTS_PRINTED || !one.patientsComplete ? [this.#word('andMore')] : []
      return [
        one.id,
        EXCEPTION_WORDS[one.class][this.#language],
        [one.category, one.table, one.detail].filter((part) => part !== null && part !== '').join('\n'),
        one.month ?? '',
        one.count === 0 ? '' : formatCount(one.count),
        { ...code([...one.patients.slice(0, PATIENTS_PRINTED), ...more].join('\n')), fontSize: 7 },
      ]
    })
    const body = rows.length === 0 ? paragraph(this.#word('noExceptions')) : dataTable(columns, rows)
    return [heading(this.#word('exceptions')), body]
  }

  limits(): PdfNode[] {
    return [
      heading(this.#word('limits')),
      paragraph(this.#declaration()),
      bullets(LIMITS.map((text) => text[this.#language])),
    ]
  }

  signing(): PdfNode[] {
    const { organisation, ledger, signers } = this.#certificate
    const places = [
      { role: this.#word('vendor') },
      { role: this.#word('reviewer') },
      ...(['informatics', 'icu', 'records', 'acceptance'] as const).map((name) => {
        return { role: this.#word(name), organisation, withSeal: true }
      }),
    ]
    return [
      heading(this.#word('signing')),
      signatures(places, this.#language),
      heading(this.#word('annex')),
      paragraph(this.#word('verifyHow')),
      code(ledger.verifierKey),
      ...signers.map(({ name, publicKey }) => code(`${name}  ${publicKey}`)),
      digest(this.#word('dataFile'), this.#sha256),
    ]
  }

  #declaration(): string {
    const { opinion, system, baseline, end } = this.#certificate
    if (opinion.verdict === 'disclaimer') return NOT_EXAMINED[this.#language]
    const moments = { baseline: this.#moment(baseline.takenAt), end: this.#moment(end.takenAt) }
    return fill(DECLARATION[this.#language], { system, ...moments })
  }

  /** The five statements, as the field has them. */
  #statements(): PdfNode {
    const { balance, demonstrations } = this.#certificate
    const right = (name: keyof typeof W): Column => ({ title: this.#word(name), align: 'right' })
    const columns: Column[] = [
      { title: this.#word('statement'), width: '*' },
      right('population'),
      right('sample'),
      right('failures'),
      right('bound'),
    ]
    const total = sumOf(balance)
    const unexplained = formatCount(unexplainedOf(total))
    const rows = formatCount(total.baseline)
    const noLoss = [this.#word('noLoss'), rows, rows, strong(unexplainedOf(total)), unexplained]
    return dataTable(columns, [noLoss, ...demonstrations.map((one) => this.#demonstration(one))])
  }

  #demonstration(one: Demonstration): (string | PdfNode)[] {
    const name = STATEMENT_WORDS[one.statement][this.#language]
    if (!one.isDone) return [name, '–', '–', '–', WORDS.inconclusive[this.#language]]
    const share = one.population === 0 ? 0 : (100 * one.upperBound) / one.population
    const bound = `${formatCount(one.upperBound)} (${share.toFixed(share < 1 ? 2 : 1)} %)`
    return [name, formatCount(one.population), formatCount(one.sample), strong(one.failures), bound]
  }

  #newestDrill(name: 'rtoSeconds' | 'rpoSeconds'): string {
    return this.#span(this.#certificate.drills.findLast(({ passed }) => passed)?.[name] ?? null)
  }

  #span(seconds: number | null): string {
    return seconds === null ? WORDS.notMeasured[this.#language] : formatSpan(seconds * 1000, this.#language)
  }

  #moment(iso: string): string {
    return formatInstant(Math.floor(Date.parse(iso) / 1000) * 1000, this.#zone)
  }

  #word(name: keyof typeof W): string {
    return W[name][this.#language]
  }
}

/** A number that should be nought stands out when it is not. */
function strong(count: number): PdfNode {
  return { text: formatCount(count), bold: count > 0, alignment: 'right' }
}

function byCategory(balance: readonly BalanceLine[]): BalanceLine[] {
  const lines = new Map<string, BalanceLine[]>()
  for (const line of balance) {
    const id = `${line.category}\t${line.month}`
    lines.set(id, [...(lines.get(id) ?? []), line])
  }
  return [...lines.values()].map((group) => ({ ...sumOf(group), category: group[0]!.category, month: group[0]!.month }))
}

function sumOf(lines: readonly BalanceLine[]): BalanceLine {
  const sum = (name: Exclude<keyof BalanceLine, 'category' | 'table' | 'month'>) =>
    lines.reduce((total, line) => total + line[name], 0)
  return {
    category: '',
    table: '',
    month: '',
    baseline: sum('baseline'),
    inserted: sum('inserted'),
    updated: sum('updated'),
    updatedUnexplained: sum('updatedUnexplained'),
    deleted: sum('deleted'),
    deletedUnexplained: sum('deletedUnexplained'),
    movedIn: sum('movedIn'),
    movedOut: sum('movedOut'),
    now: sum('now'),
    afterClosing: sum('afterClosing'),
    afterClosingUnexplained: sum('afterClosingUnexplained'),
  }
}
