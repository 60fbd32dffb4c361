/** The report's style: one sheet, two colour schemes, a phone and paper. Colours keep at least 4.5 : 1 for text. */
export const STYLE = `
:root { color-scheme: light dark; --fg: #1c1e21; --bg: #ffffff; --soft: #f3f5f8; --line: #d5d9df; --muted: #59606a;
  --accent: #1f5fc4; --accent-soft: #e8f0fd; --dev: #2a6fdb; --test: #b8500a; --target: #1a7f45; --added: #1a7f45; --dropped: #c9ced6; }
@media (prefers-color-scheme: dark) { :root { --fg: #e6e8eb; --bg: #15171a; --soft: #1f2327; --line: #3a4047; --muted: #a6adb6;
  --accent: #8ab4ff; --accent-soft: #1b2a44; --dev: #6ea2ff; --test: #ff9f5a; --target: #4cc380; --added: #4cc380; --dropped: #4a525c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 50rem; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  color: var(--fg); background: var(--bg); overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; } h2 { margin: 2.4rem 0 .8rem; font-size: 1.25rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h3 { margin: 1.6rem 0 .4rem; font-size: 1.05rem; } p { margin: .5rem 0; } .muted { color: var(--muted); font-size: .9rem; }
.decision { background: var(--accent-soft); border-left: 4px solid var(--accent); padding: .9rem 1.1rem; border-radius: 6px; margin: 1rem 0; }
.decision strong { font-size: 1.15rem; display: block; margin-bottom: .2rem; }
.scroll { overflow-x: auto; margin: .8rem 0; } .scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; overflow-wrap: normal; }
caption { text-align: left; font-weight: 600; padding: .2rem 0; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; font-variant-numeric: tabular-nums; }
thead th { color: var(--muted); font-weight: 500; vertical-align: bottom; } tbody th { font-weight: 600; white-space: nowrap; } ul { padding-left: 1.2rem; } li { margin: .3rem 0; }
td { white-space: nowrap; } .why { min-width: 15rem; white-space: normal; overflow-wrap: anywhere; } .reply { white-space: pre-wrap; }
figure { margin: .8rem 0; } figcaption { margin-top: .4rem; color: var(--muted); font-size: .9rem; } svg { max-width: 100%; height: auto; display: block; }
.narrow { display: none; } .pair { display: flex; flex-wrap: wrap; gap: 1rem; } .pair svg { flex: 1 1 300px; min-width: 0; max-width: 367px; }
.sample { background: var(--soft); border-radius: 6px; padding: .7rem 1rem; margin: .8rem 0; }
.sample dt { font-weight: 600; margin-top: .5rem; } .sample dt:first-child { margin-top: 0; } .sample dd { margin: 0; white-space: pre-wrap; }
.sample .reference { color: var(--target); }
.facts { margin: .6rem 0; } .facts div { display: grid; grid-template-columns: 12rem 1fr; gap: .2rem 1rem; padding: .3rem 0; border-bottom: 1px solid var(--line); }
.facts dt { color: var(--muted); } .facts dd { margin: 0; white-space: pre-wrap; }
code, pre { font: .87em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--soft); border-radius: 4px; }
code { padding: 0 .25rem; } pre { padding: .7rem .9rem; white-space: pre-wrap; margin: .6rem 0; } pre code { padding: 0; font-size: 1em; }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--accent); font-weight: 500; }
.fc-box { fill: var(--soft); stroke: var(--line); stroke-width: 1.2; } .fc-title { fill: var(--fg); } .fc-note { fill: var(--muted); }
.fc-line { fill: none; stroke: var(--muted); stroke-width: 1.2; } .fc-arrow { fill: var(--muted); }
.fc-taken .fc-box { fill: var(--accent-soft); stroke: var(--accent); stroke-width: 2.2; } .fc-taken .fc-title { font-weight: 600; }
.fc-taken .fc-line { stroke: var(--accent); stroke-width: 2.6; } .fc-taken .fc-arrow { fill: var(--accent); }
.fc-open { opacity: .74; } .fc-open .fc-box { stroke-dasharray: 4 3; stroke: var(--muted); } .fc-open .fc-line { stroke-dasharray: 4 3; }
@media (max-width: 44rem) { body { padding: 1rem; } .wide { display: none; } .narrow { display: block; } .facts div { grid-template-columns: 1fr; gap: 0; }
  h1 { font-size: 1.4rem; } }
@media print { :root { color-scheme: light; --fg: #000; --bg: #fff; --soft: #f3f5f8; --line: #bbb; --muted: #444; --accent: #1f5fc4; --accent-soft: #eef3fc;
    --dev: #2a6fdb; --test: #b8500a; --target: #1a7f45; --added: #1a7f45; --dropped: #c9ced6; }
  body { max-width: none; padding: 0; font-size: 11pt; } h2, h3, caption { break-after: avoid; } figure, .sample, .decision, tr { break-inside: avoid; }
  .scroll { overflow: visible; } details::details-content { content-visibility: visible; } .flowchart { max-height: 24cm; width: auto; } }
`;
