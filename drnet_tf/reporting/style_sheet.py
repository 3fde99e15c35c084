"""The style sheet of a page: light and dark, wide and narrow, and on paper."""

from __future__ import annotations

STYLE_SHEET = """
:root {
  color-scheme: light dark;
  --ink: #1f2328; --muted: #59636e; --line: #d1d9e0; --paper: #ffffff;
  --raised: #f6f8fa; --link: #0969da;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ink: #e6edf3; --muted: #9da7b1; --line: #3d444d; --paper: #0d1117;
    --raised: #151b23; --link: #58a6ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto,
    "Helvetica Neue", Arial, sans-serif;
  -webkit-text-size-adjust: 100%;
}
main { max-width: 56rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1.25rem; }
h2 {
  font-size: 1.3rem; line-height: 1.3; margin: 2.75rem 0 0.75rem;
  padding-bottom: 0.3rem; border-bottom: 1px solid var(--line);
}
h1, h2 { text-wrap: balance; }
p { max-width: 44rem; margin: 0 0 1rem; }
figure { margin: 1.75rem 0; break-inside: avoid; }
figcaption {
  max-width: 44rem; font-size: 0.9rem; line-height: 1.45; color: var(--muted);
}
.scroll { overflow-x: auto; margin: 0.5rem 0; }
table {
  border-collapse: collapse; font-size: 0.9rem; line-height: 1.4;
  font-variant-numeric: tabular-nums;
}
th, td {
  padding: 0.35rem 0.75rem; border-bottom: 1px solid var(--line);
  vertical-align: top;
}
th:first-child {
  position: sticky; left: 0; padding-left: 0; background: var(--paper);
}
thead th:first-child { white-space: nowrap; }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--muted); }
tbody th { font-weight: 500; }
svg { display: block; width: 100%; height: auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
svg text { font-family: inherit !important; }
ul { margin: 0 0 1rem; padding-left: 1.25rem; }
li { margin: 0.2rem 0; overflow-wrap: anywhere; }
a { color: var(--link); }
pre {
  overflow-x: auto; margin: 0 0 1rem; padding: 0.75rem 1rem;
  background: var(--raised); border-radius: 6px;
  font: 0.85rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
}
details {
  margin: 1.25rem 0; padding: 0 1rem; border: 1px solid var(--line);
  border-radius: 6px;
}
summary { cursor: pointer; padding: 0.6rem 0; font-weight: 600; }
:focus-visible { outline: 2px solid #3f9bd1; outline-offset: 2px; }
@media (max-width: 32rem) {
  main { padding: 1.25rem 1rem 3rem; }
  h1 { font-size: 1.55rem; }
  th, td { padding: 0.35rem 0.5rem; }
}
@media print {
  main { max-width: none; padding: 0; }
  .scroll, pre { overflow: visible; }
  pre { white-space: pre-wrap; }
  svg { min-width: 0 !important; }
  th, td { padding: 0.3rem 0.4rem; }
  tr, pre { break-inside: avoid; }
  h2 { break-after: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
"""
