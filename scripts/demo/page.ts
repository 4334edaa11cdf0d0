/** `report.html`: what the demo did and found, on one page that needs no other file. */
import { formatSeconds } from './format.ts'
import { momentSection } from './page-moment.ts'
import { both, escapeMarkup } from './page-parts.ts'
import {
  commandsSection,
  ledgerSection,
  limits,
  notHeldSection,
  patientSection,
  sizes,
  tablesSection,
  tiles,
  timeLine,
  verdict,
} from './page-sections.ts'
import { pageStyle } from './page-style.ts'
import type { DemoResult } from './result.ts'

export function renderPage(result: DemoResult): string {
  const { versions, machine, startedAt, seconds, seed } = result
  const about = [
    `chartkeep ${versions.chartkeep}`,
    `Node ${versions.node}`,
    `PostgreSQL ${versions.postgres}`,
    `${machine.cores} × ${machine.processor}`,
    machine.system,
    `seed ${seed}`,
  ]
  const when = startedAt.slice(0, 16).replace('T', ' ')
  return `<!doctype html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>chartkeep: demonstration ${when} UTC</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
<header>
<h1>chartkeep ${both({ en: 'demonstration', zh: '演示报告' })}</h1>
<div class="switch">
<label><input type="radio" name="language" id="en" checked>English</label>
<label><input type="radio" name="language" id="zh">中文</label>
</div>
</header>
<p class="soft">${both({
    en: `${when} UTC, ${formatSeconds(seconds)} in all`,
    zh: `${when}（UTC），全程 ${formatSeconds(seconds)}`,
  })}</p>
${verdict(result)}
${tiles(result)}
${timeLine(result)}
${sizes(result)}
${tablesSection(result)}
${momentSection(result)}
${patientSection(result)}
${notHeldSection(result)}
${ledgerSection(result)}
${commandsSection(result)}
${limits()}
<footer>${about.map(escapeMarkup).join(' · ')}</footer>
</main>
</body>
</html>
`
}
