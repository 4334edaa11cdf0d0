/** How the page looks: on a ward's screen, and on paper. Fonts are the reader's own; nothing is fetched. */
export const style = `
:root { --ink: #17202a; --quiet: #5d6b7a; --line: #dfe5ea; --soft: #f5f7f9; --accent: #0b5c6b;
  --insert: #14714a; --insert-soft: #e5f4ec; --update: #8a5a00; --update-soft: #fdf3dc;
  --delete: #a3282d; --delete-soft: #fbe9e9; --none: #5d6b7a; --none-soft: #eef1f4; }
* { box-sizing: border-box; }
body { margin: 0; background: #eceff2; color: var(--ink); font: 15px/1.55 -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial,
  "Liberation Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Source Han Sans SC", sans-serif; }
main { max-width: 1040px; margin: 28px auto; background: #fff; padding: 44px 52px 36px; border-radius: 10px;
  box-shadow: 0 1px 3px #0002, 0 12px 40px #0b2a3a14; }
h1 { margin: 0 0 6px; font-size: 27px; font-weight: 650; letter-spacing: -.01em; }
h2 { margin: 38px 0 12px; font-size: 18px; font-weight: 650; }
h3 { margin: 26px 0 8px; font-size: 15px; font-weight: 650; display: flex; gap: 10px; align-items: baseline; }
h3 small { font-weight: 400; color: var(--quiet); }
.lead { margin: 0 0 22px; color: var(--quiet); max-width: 62em; }
.privacy { display: inline-block; margin: 0 0 18px; padding: 3px 12px; border-radius: 999px; font-size: 13px;
  background: var(--soft); color: var(--quiet); }
.privacy.shown { background: var(--delete-soft); color: var(--delete); font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 22px; margin: 0; padding: 16px 20px;
  background: var(--soft); border-radius: 8px; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
code { font: 13px/1.5 ui-monospace, "SF Mono", "Cascadia Mono", Consolas, "Noto Sans Mono", monospace; }
.totals { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px; margin: 22px 0 0; }
.totals div { border-radius: 8px; padding: 12px 16px; }
.totals b { display: block; font-size: 26px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.insert { background: var(--insert-soft); color: var(--insert); } .update { background: var(--update-soft); color: var(--update); }
.delete { background: var(--delete-soft); color: var(--delete); } .none { background: var(--none-soft); color: var(--none); }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; font-size: 13px; font-weight: 600; color: var(--quiet); border-bottom: 1.5px solid var(--line); padding: 6px 10px; }
td { border-bottom: 1px solid var(--line); padding: 6px 10px; vertical-align: top; }
.counts th:nth-child(n+3), .counts td:nth-child(n+3) { text-align: right; font-variant-numeric: tabular-nums; }
.counts td.zero { color: #b6c0c9; } .counts tfoot td { font-weight: 650; border-bottom: 0; border-top: 1.5px solid var(--line); }
.counts tfoot td:not(:first-child) { text-align: right; }
.counts .group { font-weight: 600; } .counts tr.rest td { color: var(--quiet); }
.row { border: 1px solid var(--line); border-left-width: 4px; border-radius: 6px; margin: 8px 0; overflow: hidden; break-inside: avoid; }
.row.is-insert { border-left-color: var(--insert); } .row.is-update { border-left-color: var(--update); }
.row.is-delete { border-left-color: var(--delete); } .row.is-none { border-left-color: #b6c0c9; }
.row header { display: flex; gap: 10px; align-items: center; padding: 6px 12px; background: var(--soft); font-size: 13px; color: var(--quiet); }
.tag { padding: 1px 10px; border-radius: 999px; font-weight: 600; }
.row td { font-size: 14px; padding: 4px 12px; white-space: pre-wrap; overflow-wrap: anywhere; width: 38%; }
.row td:first-child { width: 24%; color: var(--quiet); white-space: normal; }
.row tr:last-child td { border-bottom: 0; }
.was { background: var(--delete-soft); } .will { background: var(--insert-soft); }
.empty { color: #9aa6b1; font-style: italic; }
.notes { border-left: 4px solid var(--update); background: var(--update-soft); border-radius: 6px; padding: 12px 20px; margin: 22px 0 0; }
.notes h2 { margin: 0 0 4px; font-size: 15px; } .notes ul { margin: 0; padding-left: 20px; }
.sign { display: grid; grid-template-columns: 2fr 1fr; gap: 40px; margin-top: 44px; break-inside: avoid; }
.sign div { border-top: 1px solid var(--ink); padding-top: 4px; color: var(--quiet); font-size: 13px; }
footer { margin-top: 14px; color: var(--quiet); font-size: 13px; break-inside: avoid; }
@media print {
  @page { size: A4; margin: 16mm 14mm; }
  body { background: #fff; font-size: 10.5pt; } main { margin: 0; padding: 0; max-width: none; box-shadow: none; border-radius: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } thead { display: table-header-group; } h2, h3 { break-after: avoid; }
}
@media (max-width: 720px) { main { padding: 22px 18px; margin: 0; border-radius: 0; } .totals { grid-template-columns: 1fr 1fr; } }`
