"""The tear sheet's style: light, dark by the reader's setting, and fit to print."""

STYLE = """
:root { --ink: #16202a; --soft: #5b6b7a; --line: #d8dfe6; --page: #f5f7f9; --card: #fff;
  --series: #0b6bcb; --loss: #c0362c; --gain: #1d7f4e; --warn: #fff4d6; --warn-line: #d9a400; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #9aa8b5; --line: #2c3742;
  --page: #10161c; --card: #18212a; --series: #5aa9f5; --loss: #f0776c; --gain: #55c08a;
  --warn: #3a3117; --warn-line: #d9a400; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 16px; margin: 0 0 8px; }
p { margin: 0 0 12px; color: var(--soft); }
section, .tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
section { padding: 16px; margin: 16px 0; break-inside: avoid; }
.warnings { background: var(--warn); border-color: var(--warn-line); }
.warnings ul { margin: 0; padding-left: 20px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 8px; }
.tile { padding: 10px 12px; } .tile span { color: var(--soft); font-size: 12px; display: block; }
.tile b { font-size: 20px; font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font-size: 11px; }
.other { stroke: var(--soft); fill: none; stroke-width: 1; }
.grid { stroke: var(--line); stroke-width: 1; } .series { stroke: var(--series); fill: none; stroke-width: 1.5; }
.under { fill: var(--loss); fill-opacity: .25; stroke: var(--loss); stroke-width: 1; }
.gain { fill: var(--gain); } .loss { fill: var(--loss); } .best { stroke: var(--ink); stroke-width: 2; }
.cell { font-size: 10px; } svg .cell { fill: var(--ink); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; }
th, td { text-align: right; padding: 4px 10px; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th:first-child { text-align: left; } .text td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
@media print { body { background: none; } main { max-width: none; } }
"""
