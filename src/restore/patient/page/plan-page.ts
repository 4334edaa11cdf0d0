/**
 * A plan as a page that somebody reads who knows the patient and not the database: counts by category, then every row,
 * now beside afterwards. One file, without a script, that fetches nothing.
 */
import { type PlanDocument, type ReadPlan, subjectsOf } from '../plan-document.ts'
import { ACTIONS, countsOf, type ShownRow, STATUSES, shownRows } from '../plan-view.ts'
import { Html, html } from './html.ts'
import { style } from './style.ts'
import { type Language, type Words, words } from './words.ts'

export interface PageWish {
  readonly language: Language
  /** Masked otherwise. */
  readonly showValues: boolean
}

type DocumentTable = PlanDocument['tables'][number]

/** So many rows of one table; a page of fifty thousand is read by nobody, and the browser gives up. */
const ROWS_OF_TABLE_MAX = 500

export function planHtml(plan: ReadPlan, { language, showValues }: PageWish): string {
  const text = words[language]
  const { document } = plan
  const title = text.titles[document.kind.kind]
  const page = html`<!doctype html>
<html lang="${language === 'zh' ? 'zh-CN' : 'en'}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title} ${document.planId}</title><style>${new Html(style)}</style></head><body><main>
<h1>${title}</h1>
<p class="lead">${text.nothingYet}</p>
<p class="privacy${showValues ? ' shown' : ''}">${showValues ? text.shown : text.masked}</p>
${facts(plan, text)}${totals(document, text)}${notes(document, text)}
<h2>${text.overview}</h2>${counts(document, text)}
<h2>${text.rows}</h2>${tables(plan, text, showValues)}
<section class="sign"><div>${text.approval} · ${text.approver}</div><div>${text.date}</div></section>
<footer>${text.signatureNote}</footer>
</main></body></html>
`
  return page.text
}

function facts({ document, sha256 }: ReadPlan, text: Words): Html {
  const { kind, moment, target } = document
  const lines: readonly (readonly [string, Html])[] = [
    ...subjectsOf(document).map((patient) => [text.patient, html`<code>${patient}</code>`] as const),
    [text.asOf, html`${shownTime(moment.sourceTime)}`],
    [text.lookedAt, html`${shownTime(document.lookedAt.sourceTime)}`],
    [text.into, html`${target.databaseName}`],
    [text.policy, html`${whatIsDone(kind, text)}`],
    [text.requester, html`${document.requester}`],
    [text.expires, html`${shownTime(document.expiresAt)}`],
    [text.plan, html`<code>${document.planId}</code>`],
    [text.digest, html`<code>${sha256}</code>`],
  ]
  return html`<dl>${lines.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`
}

function whatIsDone(kind: PlanDocument['kind'], text: Words): string {
  if (kind.kind === 'undo') return `${text.titles.undo}: ${kind.changesetId}`
  return kind.kind === 'unmerge' ? text.unmergePolicies[kind.policy] : text.policies[kind.policy]
}

/** To the second, with its offset: ISO 8601 is read by nobody at three in the morning. */
function shownTime(time: string): string {
  return time.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC')
}

function totals({ tables: all }: PlanDocument, text: Words): Html {
  const counted = countsOf(all.flatMap(({ groups }) => groups))
  const cards = ACTIONS.map(
    (kind) => html`<div class="${kind}"><b>${shownCount(counted[kind])}</b>${text.actions[kind]}</div>`,
  )
  const conflicts = html`<div class="none"><b>${shownCount(counted.conflicting)}</b>${text.conflict}</div>`
  return html`<section class="totals">${cards}${conflicts}</section>`
}

function notes({ tables: all, needed, leftOut, moment }: PlanDocument, text: Words): Html {
  const items = [
    ...all
      .filter(({ olderBecause }) => olderBecause !== undefined)
      .map(({ name }) => html`<li>${text.older}: ${name} (${moment.snapshotId})</li>`),
    ...all
      .filter(({ columnsLost }) => columnsLost.length > 0)
      .map(({ name, columnsLost }) => html`<li>${text.lost}: ${name} (${columnsLost.join(', ')})</li>`),
    ...all
      .filter(({ columnsNew }) => columnsNew.length > 0)
      .map(({ name, columnsNew }) => html`<li>${text.fresh}: ${name} (${columnsNew.join(', ')})</li>`),
    ...needed
      .filter(({ gone }) => gone > 0)
      .map(({ table, gone }) => html`<li>${text.gone}: ${table} (${shownCount(gone)})</li>`),
    ...leftOut.map(({ table, reason }) => html`<li>${text.leftOut}: ${table}: ${reason}</li>`),
  ]
  if (items.length === 0) return html``
  return html`<section class="notes"><h2>${text.attention}</h2><ul>${items}</ul></section>`
}

function counts({ tables: all }: PlanDocument, text: Words): Html {
  const differing = all.filter(({ groups }) => groups.length > 0)
  const rest = all.filter(({ groups, same }) => groups.length === 0 && same > 0)
  const categories = Map.groupBy(differing, ({ category }) => category)
  const names = [...STATUSES.map((status) => text.statuses[status]), ...ACTIONS.map((kind) => text.actions[kind])]
  const body = [...categories].flatMap(([category, own]) =>
    own.map((table, index) => countRow(table, index === 0 ? category : '')),
  )
  const restCells = countCells({ groups: [], same: sameRows(rest) })
  const others = html`<tr class="rest"><td></td><td>${text.rest(shownCount(rest.length))}</td>${restCells}</tr>`
  const whole = countCells({ groups: all.flatMap(({ groups }) => groups), same: sameRows(all) })
  return html`<table class="counts"><thead><tr><th>${text.category}</th><th>${text.table}</th><th>${text.same}</th>
${names.map((name) => html`<th>${name}</th>`)}</tr></thead><tbody>${body}${rest.length > 0 ? others : html``}</tbody>
<tfoot><tr><td colspan="2">${text.total}</td>${whole}</tr></tfoot></table>`
}

function sameRows(tables: readonly Pick<DocumentTable, 'same'>[]): number {
  return tables.reduce((sum, { same }) => sum + same, 0)
}

function countRow(table: DocumentTable, category: string): Html {
  return html`<tr><td${new Html(category === '' ? '' : ' class="group"')}>${category}</td><td><code>${table.name}</code></td>${countCells(table)}</tr>`
}

function countCells({ groups, same }: Pick<DocumentTable, 'groups' | 'same'>): Html[] {
  const counted = countsOf(groups)
  const numbers = [same, ...STATUSES.map((status) => counted[status]), ...ACTIONS.map((kind) => counted[kind])]
  return numbers.map((count) => (count === 0 ? html`<td class="zero">·</td>` : html`<td>${shownCount(count)}</td>`))
}

function tables(plan: ReadPlan, text: Words, showValues: boolean): Html[] {
  return plan.tables.flatMap((table) => {
    if (table.rows.length === 0) return []
    const first = { ...plan, tables: [{ ...table, rows: table.rows.slice(0, ROWS_OF_TABLE_MAX) }] }
    const rows = Array.from(shownRows(first, showValues), (row) => rowCard(row, text))
    const left = table.rows.length - rows.length
    const more = left > 0 ? html`<p class="lead">${text.more(shownCount(left))}</p>` : html``
    return [
      html`<h3>${table.category}<small><code>${table.name}</code> · ${shownCount(table.rows.length)}</small></h3>${rows}${more}`,
    ]
  })
}

function rowCard({ status, action, cause, goesTo, columns }: ShownRow, text: Words): Html {
  const whose = goesTo === undefined ? html`` : html`<span>${text.goesTo} <code>${goesTo}</code></span>`
  const why = cause === null ? html`` : html`<span>${cause}</span>`
  const lines = columns.map(({ name, past, present }) => {
    const [now, afterwards] = [present, action === 'none' ? present : past]
    const will = action === 'delete' ? null : afterwards
    const isChanged = now !== will && action !== 'none'
    return html`<tr><td>${name}</td>${cell(now, isChanged ? 'was' : '', text)}${cell(will, isChanged ? 'will' : '', text)}</tr>`
  })
  return html`<article class="row is-${action}"><header><span class="tag ${action}">${text.actions[action]}</span><span>${text.statuses[status]}</span>${whose}${why}</header>
<table><thead><tr><th>${text.column}</th><th>${text.now}</th><th>${text.afterwards}</th></tr></thead><tbody>${lines}</tbody></table></article>
`
}

function cell(value: string | null, mark: string, text: Words): Html {
  if (value === null) return html`<td class="empty">${text.none}</td>`
  return html`<td class="${mark}">${value}</td>`
}

function shownCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}
