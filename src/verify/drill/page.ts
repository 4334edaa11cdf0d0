/** The report of a drill on paper: 灾难恢复演练报告. Everything on it stands in the signed JSON. */
import type { FindingKind } from '../finding.ts'
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
  timeline,
} from '../report/blocks.ts'
import { KIND_WORDS } from '../report/finding-words.ts'
import {
  formatClock,
  formatCount,
  formatInstant,
  formatSpan,
  type Language,
  type Phrase,
  type Zone,
} from '../report/language.ts'
import type { PdfNode } from '../report/pdf-node.ts'
import { sayIn } from '../report/sentences.ts'
import { printSigned } from '../report/signed-page.ts'
import type { SignedReport } from '../report/signed-report.ts'
import { fill, WORDS } from '../report/words.ts'
import type { DrillCheck, DrillReport, Measured, ReportedFinding } from './drill-report.ts'
import { ALL_DRILL_SENTENCES } from './sentences.ts'
import { CLEANUP_WORDS, DRILL_WORDS, OUTCOME_WORDS, SCENARIO_WORDS, STATUS_WORDS, STEP_WORDS } from './words.ts'

interface Page {
  readonly report: DrillReport
  readonly language: Language
  readonly zone: Zone
  say(phrase: Phrase): string
}

const TONES: Readonly<Record<DrillReport['status'], Tone>> = { passed: 'good', failed: 'bad', inconclusive: 'warning' }
const DIGEST_SHOWN = 16

/** The same report gives the same file. */
export async function drillPdf(signed: SignedReport<DrillReport>, language: Language, zone: Zone): Promise<Uint8Array> {
  const { report } = signed
  const page: Page = { report, language, zone, say: (phrase) => phrase[language] }
  return await printSigned(signed, language, {
    title: DRILL_WORDS.title,
    writtenAt: report.createdAt,
    content: [
      ...conclusion(page),
      ...scope(page),
      ...times(page),
      ...figures(page),
      ...verification(page),
      ...questions(page),
      ...loss(page),
      ...problems(page),
      ...cleanup(page),
      ...statements(page),
    ],
    signing: DRILL_WORDS.signing,
    signers: [
      { role: DRILL_WORDS.leader },
      { role: WORDS.information, withSeal: true },
      { role: WORDS.department, withSeal: true },
      { role: DRILL_WORDS.witness },
    ],
  })
}

function conclusion({ report, language, say }: Page): PdfNode[] {
  const { rto, rpo, tables, checks } = report
  const span = ({ ms }: Measured) => (ms === null ? '—' : formatSpan(ms, language))
  const equal = tables.filter((table) => table.equal).length
  const alike = checks.filter(({ outcome }) => outcome === 'same' || outcome === 'answered').length
  const summary = [
    `RTO ${span(rto.fromFault)}  ·  RPO ${span(rpo.measured)}`,
    `${say(DRILL_WORDS.verification).replace(/^\S+、|^\d+ +/, '')}: ${equal} / ${tables.length}`,
    `${say(DRILL_WORDS.questions).replace(/^\S+、|^\d+ +/, '')}: ${alike} / ${checks.length}`,
  ]
  return [heading(say(DRILL_WORDS.summary)), callout(TONES[report.status], say(STATUS_WORDS[report.status]), summary)]
}

function scope({ report, zone, say }: Page): PdfNode[] {
  const { backup, authorisation, environment } = report
  const object = report.table ?? report.patient ?? report.sourceName
  const kind = say(DRILL_WORDS[environment.kind])
  const short: (readonly [string, string | PdfNode])[] = [
    [say(DRILL_WORDS.held), formatInstant(Date.parse(report.createdAt), zone)],
    [say(DRILL_WORDS.scenario), say(SCENARIO_WORDS[report.scenario])],
    [say(DRILL_WORDS.object), code(object)],
    [say(WORDS.source), report.sourceName],
    [say(DRILL_WORDS.target), code(report.asked)],
    [say(WORDS.actor), report.actor],
    [
      say(DRILL_WORDS.authorisation),
      authorisation ? `${authorisation.by} · ${authorisation.reference}` : say(DRILL_WORDS.notGiven),
    ],
  ]
  const long: (readonly [string, string | PdfNode])[] = [
    [say(WORDS.number), code(report.number)],
    [say(DRILL_WORDS.environment), `${kind}, ${environment.server}; ${environment.tool}, ${environment.runtime}`],
  ]
  if (backup) {
    const replayed = fill(say(DRILL_WORDS.transactions), {
      segments: formatCount(backup.segments),
      transactions: formatCount(backup.transactions),
    })
    short.push(
      [say(DRILL_WORDS.sourceVersion), `PostgreSQL ${backup.sourceVersion}`],
      [say(DRILL_WORDS.replayed), replayed],
    )
    long.push(
      [say(DRILL_WORDS.state), formatInstant(Date.parse(backup.stateAt), zone)],
      [say(DRILL_WORDS.backup), code(backup.snapshot)],
      [say(DRILL_WORDS.manifest), digestCell(backup.manifestSha256)],
    )
  }
  return [heading(say(DRILL_WORDS.scope)), keyValues(short, 2), keyValues(long)]
}

function times({ report, language, zone, say }: Page): PdfNode[] {
  const steps = report.timeline.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at) || a.step.localeCompare(b.step))
  const startMs = Date.parse(steps[0]?.at ?? report.createdAt)
  return [
    heading(say(DRILL_WORDS.timeline)),
    timeline(
      steps.map(({ step, at, by }) => ({
        label: step,
        time: formatClock(Date.parse(at), zone),
        title: say(STEP_WORDS[step]) + (by === 'person' ? ` (${say(DRILL_WORDS.said)})` : ''),
        elapsed: `+ ${formatSpan(Date.parse(at) - startMs, language)}`,
      })),
    ),
  ]
}

function figures({ report, zone, language, say }: Page): PdfNode[] {
  const { rto, rpo, timeline: steps } = report
  const row = (name: string, { ms, targetMs, met }: Measured) => [
    name,
    ms === null ? '—' : formatSpan(ms, language),
    targetMs === null ? '—' : formatSpan(targetMs, language),
    met === null
      ? say(DRILL_WORDS.noTarget)
      : `${mark(met ? 'good' : 'bad')} ${say(met ? DRILL_WORDS.met : DRILL_WORDS.missed)}`,
  ]
  const at = (wanted: string) => Date.parse(steps.find(({ step }) => step === wanted)?.at ?? '')
  const usableMs = at('T5') - at('T0')
  const usable = { ms: Number.isNaN(usableMs) ? null : usableMs, targetMs: null, met: null }
  const basis = rpo.basis === null ? '—' : say(DRILL_WORDS[rpo.basis])
  return [
    heading(say(DRILL_WORDS.figures)),
    dataTable(
      [
        { title: say(DRILL_WORDS.figure), width: '*' },
        { title: say(DRILL_WORDS.measured), align: 'right', width: 90 },
        { title: say(DRILL_WORDS.allowed), align: 'right', width: 90 },
        { title: say(WORDS.result), width: 80 },
      ],
      [
        row(say(DRILL_WORDS.rtoFault), rto.fromFault),
        row(say(DRILL_WORDS.rtoAuthorised), rto.fromAuthorisation),
        row(say(DRILL_WORDS.usable), usable),
        row(say(DRILL_WORDS.rpo), rpo.measured),
      ],
    ),
    ...(rpo.recoveredUpTo === null
      ? []
      : [note(fill(say(DRILL_WORDS.rpoNote), { at: formatInstant(Date.parse(rpo.recoveredUpTo), zone), basis }))]),
    note(say(DRILL_WORDS.rtoNote)),
  ]
}

function verification({ report, say }: Page): PdfNode[] {
  if (report.tables.length === 0) {
    return [heading(say(DRILL_WORDS.verification)), paragraph(say(DRILL_WORDS.noTables))]
  }
  const rows = report.tables.map(({ table, category, rows, foundRoot, equal }) => [
    { text: table, wordBreak: 'break-all' as const },
    category,
    formatCount(rows),
    foundRoot === null ? '—' : digestCell(foundRoot),
    `${mark(equal ? 'good' : 'bad')} ${say(equal ? DRILL_WORDS.equal : DRILL_WORDS.unequal)}`,
  ])
  return [
    heading(say(DRILL_WORDS.verification)),
    dataTable(
      [
        { title: say(WORDS.table), width: '*' },
        { title: say(WORDS.category), width: 58 },
        { title: say(DRILL_WORDS.rows), align: 'right', width: 58 },
        { title: say(DRILL_WORDS.root), width: 156 },
        { title: say(WORDS.result), width: 46 },
      ],
      rows,
    ),
    note(say(DRILL_WORDS.verificationNote)),
  ]
}

function questions({ report, language, say }: Page): PdfNode[] {
  const title = heading(say(DRILL_WORDS.questions))
  if (report.checks.length === 0) return [title, paragraph(say(DRILL_WORDS.noQuestions))]
  const shown = (answer: DrillCheck['copy']): string => {
    if (answer === null) return '—'
    if (answer.failure !== null) return answer.failure
    if (answer.number !== null) return answer.number
    const digest = answer.digest.slice(0, DIGEST_SHOWN / 2)
    return fill(say(DRILL_WORDS.rowsAnswered), { rows: formatCount(answer.rows), digest })
  }
  const rows = report.checks.map(({ name, copy, source, expected, outcome }) => [
    name,
    expected ?? '—',
    shown(copy),
    shown(source),
    copy === null ? '—' : formatSpan(copy.ms, language),
    `${mark(outcome === 'differs' || outcome === 'failed' ? 'bad' : outcome === 'moved-on' ? 'warning' : 'good')} ${say(OUTCOME_WORDS[outcome])}`,
  ])
  return [
    title,
    dataTable(
      [
        { title: say(DRILL_WORDS.question), width: '*' },
        { title: say(DRILL_WORDS.expected), align: 'right' },
        { title: say(DRILL_WORDS.copy), align: 'right' },
        { title: say(WORDS.source), align: 'right' },
        { title: say(DRILL_WORDS.time), align: 'right' },
        { title: say(WORDS.result), width: 76 },
      ],
      rows,
    ),
  ]
}

function loss({ report, zone, say }: Page): PdfNode[] {
  const title = heading(say(DRILL_WORDS.loss))
  const { lost, lostReadAt } = report.rpo
  if (lost === null || lostReadAt === null) return [title, paragraph(say(DRILL_WORDS.lossNotRead))]
  const rows = lost
    .filter(({ notRecovered, changedSince, deletedSince, comparable }) => {
      return !comparable || notRecovered + changedSince + deletedSince > 0
    })
    .map(({ table, notRecovered, changedSince, deletedSince }) => {
      return [
        { text: table, wordBreak: 'break-all' as const },
        ...[notRecovered, changedSince, deletedSince].map(formatCount),
      ]
    })
  const when = note(fill(say(DRILL_WORDS.lossNote), { at: formatInstant(Date.parse(lostReadAt), zone) }))
  if (rows.length === 0) return [title, paragraph(say(DRILL_WORDS.noLoss)), when]
  const counts = [DRILL_WORDS.notRecovered, DRILL_WORDS.changedSince, DRILL_WORDS.deletedSince]
  const columns = counts.map((phrase) => ({ title: say(phrase), align: 'right' as const, width: 92 }))
  return [title, dataTable([{ title: say(WORDS.table), width: '*' }, ...columns], rows), when]
}

function problems({ report, language, say }: Page): PdfNode[] {
  const { findings, deviations, notRebuilt } = report
  const said = (sentence: string) => sayIn(language, sentence, ALL_DRILL_SENTENCES)
  const nodes: PdfNode[] = [heading(say(DRILL_WORDS.problems))]
  if (findings.length === 0) nodes.push(paragraph(say(DRILL_WORDS.noProblems)))
  else {
    const rows = findings.map((found) => {
      const kind: PdfNode = language === 'zh' ? { stack: [kindInChinese(found), code(found.kind)] } : code(found.kind)
      return [say(DRILL_WORDS[found.severity]), kind, said(found.message), '']
    })
    nodes.push(
      dataTable(
        [
          { title: say(DRILL_WORDS.severity), width: 40 },
          { title: say(DRILL_WORDS.kind), width: 112 },
          { title: say(DRILL_WORDS.message), width: '*' },
          { title: say(DRILL_WORDS.owner), width: 76 },
        ],
        rows,
      ),
    )
  }
  if (deviations.length > 0) nodes.push(heading(say(DRILL_WORDS.deviations), 2), bullets(deviations.map(said)))
  if (notRebuilt.length > 0) {
    const items = notRebuilt.map(({ kind, name, reason }) => `${said(kind)} ${said(name)}: ${said(reason)}`)
    nodes.push(heading(say(DRILL_WORDS.notRebuilt), 2), bullets(items))
  }
  return nodes
}

/** A report of another version may name a kind that this one does not know. */
function kindInChinese({ kind }: ReportedFinding): PdfNode {
  return { text: Object.hasOwn(KIND_WORDS, kind) ? KIND_WORDS[kind as FindingKind] : '' }
}

function cleanup({ report, say }: Page): PdfNode[] {
  const title = heading(say(DRILL_WORDS.cleanup))
  if (report.cleanup === null) {
    return [
      title,
      paragraph(say(report.environment.server === '' ? DRILL_WORDS.nothingToClean : DRILL_WORDS.notCleaned)),
    ]
  }
  const asked = report.cleanup.asked.map(({ question, answer }): [string, string] => {
    const phrase = CLEANUP_WORDS[question] ?? { zh: question, en: question }
    return [say(phrase), `${mark(answer ? 'good' : 'bad')} ${say(answer ? WORDS.yes : WORDS.no)}`]
  })
  return [title, keyValues([[say(DRILL_WORDS.cleaned), code(report.cleanup.what)], ...asked], 2)]
}

function statements({ say }: Page): PdfNode[] {
  const { standard, levelLimit, copyLimit, truthLimit } = DRILL_WORDS
  return [heading(say(DRILL_WORDS.statements)), bullets([standard, levelLimit, copyLimit, truthLimit].map(say))]
}
