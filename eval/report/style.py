"""How a report looks, and what its buttons do."""

STYLE = """
:root { --paper: #fbfaf8; --card: #ffffff; --ink: #1d1f24; --soft: #6a6f7a; --line: #e4e2dd;
  --right: #2c8a57; --part: #c79a24; --wrong: #c4473a; --other: #8a8f9a; --accent: #33569b; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181c; --card: #1f2227; --ink: #e9e8e4;
  --soft: #9aa0ab; --line: #33373e; --right: #58b98a; --part: #dcb552; --wrong: #e27266;
  --other: #878d98; --accent: #8fb0f0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 20px 80px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; letter-spacing: -.01em; }
h2 { font-size: 18px; margin: 44px 0 14px; }
p { margin: 6px 0; } .soft { color: var(--soft); } .small { font-size: 13px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 18px; overflow-x: auto; min-width: 0; }
.top { display: grid; grid-template-columns: minmax(240px, 1fr) 2fr; gap: 16px; margin-top: 22px; }
.score { font-size: 56px; font-weight: 650; line-height: 1.05; letter-spacing: -.03em; }
.score small { font-size: 22px; font-weight: 500; color: var(--soft); letter-spacing: 0; }
.bar { position: relative; height: 14px; border-radius: 7px; background: var(--line); }
.bar > i { position: absolute; inset: 0 auto 0 0; border-radius: 7px; background: var(--accent); }
.bar > b { position: absolute; top: 6px; height: 2px; background: var(--ink); opacity: .75; }
.bar > b::before, .bar > b::after { content: ""; position: absolute; top: -4px; width: 2px;
  height: 10px; background: var(--ink); } .bar > b::after { right: 0; }
.stack { display: flex; height: 22px; border-radius: 8px; overflow: hidden; gap: 2px; }
.stack > span { min-width: 3px; } .key { display: flex; flex-wrap: wrap; gap: 4px 18px;
  margin-top: 10px; font-size: 13px; } .key i { display: inline-block; width: 10px; height: 10px;
  border-radius: 3px; margin-right: 6px; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 550;
  color: var(--soft); font-size: 13px; } td, th { padding: 6px 10px 6px 0; vertical-align: middle;
  border-bottom: 1px solid var(--line); } td.n, th.n { text-align: right;
  font-variant-numeric: tabular-nums; } td.bars { width: 42%; min-width: 70px; }
.tools { display: flex; flex-wrap: wrap; gap: 8px; margin-bottom: 14px; }
button, select { font: inherit; font-size: 14px; padding: 5px 13px; border-radius: 999px;
  border: 1px solid var(--line); background: var(--card); color: var(--ink); cursor: pointer; }
button[aria-pressed=true] { background: var(--ink); color: var(--paper);
  border-color: var(--ink); }
.examples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(330px, 100%), 1fr));
  gap: 16px;  align-items: start; }
.example { padding: 0; overflow: hidden; } .example .body { padding: 14px 16px 16px; }
.pages { display: flex; overflow-x: auto; background: var(--line); max-height: 300px;
  scroll-snap-type: x proximity; gap: 2px; } .pages figure { margin: 0; flex: 1 0 auto;
  max-width: 100%; scroll-snap-align: start; position: relative; text-align: center; }
.over { display: inline-block; position: relative; max-width: 100%; vertical-align: top;
  cursor: zoom-in; } .over img { display: block; max-height: 300px; max-width: 100%;
  background: #fff; } .over img.heat, dialog .over img.heat { position: absolute; inset: 0;
  width: 100%; height: 100%; max-height: none; max-width: none; background: none;
  image-rendering: pixelated; mix-blend-mode: multiply; }
.over.frame img.heat { mix-blend-mode: normal; opacity: .6; } .plain .heat { display: none; }
.heat-key { margin: 0 0 14px; } .scale { display: inline-block; width: 90px; height: 10px;
  border-radius: 3px; margin: 0 6px; }
.pages figcaption { position: absolute; left: 6px; bottom: 6px;
  font-size: 11px;
  background: rgba(0,0,0,.6); color: #fff; border-radius: 4px; padding: 0 6px; }
.q { font-weight: 600; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 8.5em;
  overflow: auto; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 4px 12px; margin: 10px 0 0; }
dt { color: var(--soft); font-size: 13px; padding-top: 1px; } dd { margin: 0; white-space: pre-wrap;
  overflow-wrap: anywhere; max-height: 10em; overflow: auto; }
.tag { display: inline-block; font-size: 12px; font-weight: 600; border-radius: 999px;
  padding: 1px 10px; color: #fff; background: var(--other); margin: 0 6px 8px 0; }
.tag.right, i.right, span.right { background: var(--right); }
.tag.part, i.part, span.part { background: var(--part); }
.tag.wrong, i.wrong, span.wrong { background: var(--wrong); }
i.other, span.other { background: var(--other); } .tag.kind { background: none;
  color: var(--soft); border: 1px solid var(--line); }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 10px; margin-top: 10px; }
.two > div { border: 1px solid var(--line); border-radius: 8px; padding: 8px 10px;
  overflow-wrap: anywhere; white-space: pre-wrap; } .two b { display: block; font-size: 12px;
  color: var(--soft); font-weight: 550; }
details { margin-top: 14px; } summary { cursor: pointer; color: var(--accent); }
pre { overflow: auto; font-size: 12px; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: 12px; max-height: 480px; }
.scroll { max-height: 560px; overflow: auto; } .scroll td { vertical-align: top; font-size: 13px; }
dialog { border: 0; padding: 0; max-width: 96vw; max-height: 96vh; background: transparent; }
dialog .over { cursor: zoom-out; } dialog .over img { max-width: none; max-height: none; }
dialog::backdrop { background: rgba(0,0,0,.75); }
[hidden] { display: none !important; }
@media (max-width: 720px) { .top { grid-template-columns: minmax(0, 1fr); }
  .score { font-size: 46px; } }
"""

SCRIPT = """
const box = document.querySelector("dialog");
document.querySelectorAll(".pages .over").forEach(each => each.addEventListener("click", () => {
  box.innerHTML = ""; box.append(each.cloneNode(true)); box.showModal();
  const {naturalWidth: w, naturalHeight: h} = each.querySelector("img");
  const scale = Math.min(innerWidth * .94 / w, innerHeight * .9 / h, 3);
  box.querySelector("img").style.width = w * scale + "px"; }));
const heat = document.querySelector("button[data-heat]");
if (heat) heat.addEventListener("click", () => {
  const off = document.body.classList.toggle("plain"); heat.setAttribute("aria-pressed", !off); });
box.addEventListener("click", () => box.close());
const cards = [...document.querySelectorAll(".example")];
const buttons = [...document.querySelectorAll("button[data-show]")];
const kinds = document.querySelector("select[data-kind]");
function show() {
  const on = buttons.find(b => b.getAttribute("aria-pressed") === "true");
  cards.forEach(card => { card.hidden =
    (on && on.dataset.show && card.dataset.is !== on.dataset.show) ||
    (kinds && kinds.value && card.dataset.kind !== kinds.value); });
  const none = document.querySelector("#none");
  if (none) none.hidden = cards.some(card => !card.hidden);
}
buttons.forEach(b => b.addEventListener("click", () => {
  buttons.forEach(each => each.setAttribute("aria-pressed", each === b)); show(); }));
if (kinds) kinds.addEventListener("change", show);
"""
