/** The page's looks: one column, system fonts, light and dark, printable, nothing from elsewhere. */
export const pageStyle = `
:root { color-scheme: light dark;
  --paper: light-dark(#f6f8f8, #101718); --card: light-dark(#ffffff, #172022); --ink: light-dark(#15282b, #dfe9e9);
  --soft: light-dark(#5b6f72, #93a7aa); --line: light-dark(#dce5e6, #2a3739); --main: light-dark(#0b7285, #3bc9db);
  --pale: light-dark(#c9e6ea, #1d4a52); --good: light-dark(#2b7a3d, #69db7c); --ward: light-dark(#e8a33d, #ffc36b); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.55;
  font-family: system-ui, -apple-system, "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 64px; }
header { display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: baseline; justify-content: space-between; }
h1 { font-size: 1.7rem; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 0 0 .6rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 20px 22px; margin-top: 18px; }
p { margin: .4rem 0; max-width: 92ch; }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
.switch label { cursor: pointer; padding: 3px 12px; border: 1px solid var(--line); border-radius: 99px; font-size: .9rem; }
.switch input { position: absolute; opacity: 0; }
.switch label:has(:checked) { background: var(--main); color: var(--card); border-color: var(--main); }
.switch label:has(:focus-visible) { outline: 2px solid var(--ink); }
body:not(:has(#zh:checked)) [lang="zh-CN"], body:has(#zh:checked) [lang="en"] { display: none; }
.verdict { border-left: 6px solid var(--good); font-size: 1.05rem; }
.tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); margin-top: 18px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px; }
.tile b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; letter-spacing: -.01em; }
.tile span { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th, td { text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
td.wrap, .wrap { white-space: normal; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
code, pre { font-family: ui-monospace, "SF Mono", Consolas, "Noto Sans Mono CJK SC", monospace; font-size: .84rem; }
pre { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; margin: .5rem 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.good { color: var(--good); font-weight: 700; }
.bars { display: grid; gap: 8px; margin: .8rem 0; }
.bar { display: grid; grid-template-columns: minmax(150px, 300px) 1fr 150px; gap: 14px; align-items: center; font-size: .92rem; }
.track { background: var(--paper); border-radius: 5px; height: 16px; }
.track i { display: block; height: 100%; border-radius: 5px; background: var(--pale); }
.track i.strong { background: var(--main); }
.bar .value { font-variant-numeric: tabular-nums; }
.timeline { display: grid; gap: 3px; font-size: .86rem; }
.timeline .row { display: grid; grid-template-columns: minmax(150px, 300px) 1fr 60px; gap: 14px; align-items: center; }
.timeline .track { position: relative; height: 14px; }
.timeline .track i { position: absolute; min-width: 3px; background: var(--main); }
.timeline .track i.ward { background: var(--ward); }
.timeline .track i.aside { background: var(--pale); }
details summary { cursor: pointer; font-size: .92rem; }
details + details { margin-top: .5rem; }
footer { color: var(--soft); font-size: .85rem; margin-top: 20px; }
@media (max-width: 640px) { .bar, .timeline .row { grid-template-columns: 1fr; gap: 2px; } }
@media print { .switch { display: none; } section, .tile { break-inside: avoid; } }
`
