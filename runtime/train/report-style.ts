/**
 * The look of the report: one style sheet, light and dark.
 *
 * Data only. Colors are variables on the root; the dark values follow the system's setting. The four series colors keep
 * at least 3:1 contrast against the page in both modes and stay apart for common color blindness.
 */

/** The style sheet of report.html. */
export const REPORT_STYLE = `
:root{color-scheme:light dark;--page:#fbfbfa;--card:#fff;--ink:#1d1d1b;--soft:#67655f;--rule:#e4e2dc;--accent:#2563a8;--warn:#9a3b1f;--warn-back:#fdf0ea;
--series-1:#2563a8;--series-2:#b4541a;--series-3:#1f7a55;--series-4:#8a4a9e}
@media (prefers-color-scheme:dark){:root{--page:#161615;--card:#1f1f1d;--ink:#ecebe6;--soft:#a3a098;--rule:#35342f;--accent:#7db2ee;--warn:#f0a184;--warn-back:#38221a;
--series-1:#7db2ee;--series-2:#eaa06a;--series-3:#67c79b;--series-4:#cf9be2}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1120px;margin:0 auto;padding:40px 24px 80px}
h1{font-size:30px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:19px;margin:44px 0 12px}
p{margin:0 0 10px}
.lead{color:var(--soft);max-width:72ch}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:24px 0 0}
.tile,.card{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:14px 16px}
.tile b{display:block;font-size:26px;font-weight:600;line-height:1.25;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:13px}
.grid2{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:14px}
.card h3{font-size:14px;font-weight:600;margin:0 0 6px}
.chart{display:block;width:100%;height:auto}
.chart .grid{stroke:var(--rule)}
.chart text{font-size:11px;fill:var(--soft)}
.chart .end{font-weight:600;font-variant-numeric:tabular-nums}
.chart .name{font-weight:400}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.line.faint{stroke-width:1;opacity:.3}
.empty{color:var(--soft)}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:6px 14px 6px 0;border-bottom:1px solid var(--rule);vertical-align:top}
th{font-weight:600;font-size:13px;color:var(--soft)}
td.n,th.n{text-align:right}
td.better{font-weight:600;color:var(--series-3)}
.panels{display:flex;gap:10px;overflow-x:auto;padding:0 0 12px}
figure{margin:0;flex:0 0 136px}
figure svg{display:block;width:136px;height:auto;border-radius:6px;image-rendering:pixelated}
figcaption{font-size:12px;color:var(--soft);margin-top:4px}
.veil{fill:var(--page);fill-opacity:.86}
.outline{stroke:var(--series-2);stroke-width:1.5;fill:none;vector-effect:non-scaling-stroke}
.graph{background:var(--card);border-radius:10px;border:1px solid var(--rule);padding:14px;overflow-x:auto}
.graph img{display:block;max-width:100%;height:auto;margin:0 auto}
.note{background:var(--warn-back);border-left:3px solid var(--warn);border-radius:0 8px 8px 0;padding:10px 14px;margin:0 0 10px}
code{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
@media print{.card,.tile,.graph{break-inside:avoid}}
`;
