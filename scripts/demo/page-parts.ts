/**
 * Small pieces of the page. Every sentence stands in both languages; a switch at the top shows one of them. Text is
 * escaped where it enters, so that no name of a table can become markup.
 */
import type { Words } from './words.ts'

export function escapeMarkup(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`)
}

/** Both languages, one of which is shown. Words may hold markup of ours. */
export function both(words: Words): string {
  return `<span lang="en">${words.en}</span><span lang="zh-CN">${words.zh}</span>`
}

export function paragraph(words: Words, className = ''): string {
  return `<p${className ? ` class="${className}"` : ''}>${both(words)}</p>`
}

export function section(id: string, title: Words, ...content: readonly string[]): string {
  return `<section id="${id}"><h2>${both(title)}</h2>\n${content.join('\n')}\n</section>`
}

export interface Column {
  readonly title: Words
  readonly isNumber?: boolean
}

/** Cells are markup already. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const numeric = (index: number) => (columns[index]?.isNumber ? ' class="number"' : '')
  const head = columns.map(({ title }, index) => `<th${numeric(index)}>${both(title)}</th>`).join('')
  const body = rows.map((row) => `<tr>${row.map((cell, index) => `<td${numeric(index)}>${cell}</td>`).join('')}</tr>`)
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>\n${body.join('\n')}\n</tbody></table></div>`
}

/** Lengths in proportion to each other; `value` is what is written beside the bar. */
export interface Bar {
  readonly label: Words
  readonly amount: number
  readonly value: string
  readonly tone: 'plain' | 'strong'
}

export function bars(items: readonly Bar[]): string {
  const most = Math.max(...items.map((item) => item.amount), 1)
  const lines = items.map(({ label, amount, value, tone }) => {
    const width = Math.max((100 * amount) / most, amount > 0 ? 0.4 : 0).toFixed(2)
    return `<div class="bar"><span class="label">${both(label)}</span><span class="track"><i class="${tone}" style="width:${width}%"></i></span><span class="value">${escapeMarkup(value)}</span></div>`
  })
  return `<div class="bars">${lines.join('\n')}</div>`
}
