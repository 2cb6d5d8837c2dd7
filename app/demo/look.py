"""How the page looks: a theme of the fonts that are there, and a style for our own parts."""

from gradio.themes import Default

_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO = ("ui-monospace", "Menlo", "Consolas", "monospace")

STYLE = """
.gradio-container { max-width: 1500px !important; }
#title h1 { margin: 0; font-size: 1.5rem; } #title p { margin: .1rem 0 0; }
.figures { display: flex; flex-wrap: wrap; gap: .5rem; margin: 0; }
.figures.empty, .timeline-note, #view-facts p { color: var(--body-text-color-subdued); }
.figures.empty, .timeline-note, #view-facts p, #model-line p { font-size: .875rem; margin: 0; }
.figures > div { flex: 1 1 8.5rem; padding: .5rem .7rem; border-radius: .5rem;
  background: var(--background-fill-secondary); border: 1px solid var(--border-color-primary); }
.figures dt { font-size: .75rem; color: var(--body-text-color-subdued); }
.figures dd { margin: 0; font-size: .75rem; color: var(--body-text-color-subdued); }
.figures b { display: block; font-size: 1.15rem; color: var(--body-text-color); }
.timeline { display: flex; gap: 3px; height: 84px; padding: 5px; box-sizing: border-box;
  overflow-x: auto; border-radius: .5rem; background: var(--background-fill-secondary);
  border: 1px solid var(--border-color-primary); }
.timeline .bar { flex: 1 1 0; min-width: 7px; max-width: 56px; height: 100%; padding: 0; border: 0;
  background: none; cursor: pointer; display: flex; align-items: flex-end; border-radius: 3px; }
.timeline .before { width: 100%; display: flex; align-items: flex-end; border-radius: 3px 3px 0 0;
  background: color-mix(in srgb, #3b82f6 28%, transparent); }
.timeline .kept { width: 100%; background: #3b82f6; border-radius: 3px 3px 0 0; }
.timeline .cited .before { background: color-mix(in srgb, #dc4326 28%, transparent); }
.timeline .cited .kept { background: #dc4326; }
.timeline .shown { box-shadow: 0 0 0 2px var(--body-text-color); }
#view-title h3 { margin: .3rem 0 0; font-size: 1rem; }
#view-picture img { object-fit: contain; max-height: max(62vh, 420px); }
#figures, #timeline { padding: 0; }
/* It would send a file to a site elsewhere. */
#chat button[aria-label="Share"] { display: none; }
#chat .icon-button-wrapper:has(> button[aria-label="Share"]:only-child) { display: none; }
#chat .placeholder-content, #chat .placeholder { padding: 0 1rem; text-align: center; }
@media (max-width: 640px) {
  .gradio-container { padding: .5rem !important; }
  .figures > div { flex-basis: 6.5rem; }
  /* Columns keep a word's width, and the table is pushed sideways. */
  #extract-table th, #extract-table td { min-width: 7rem; }
  #extract-table th * { overflow-wrap: normal; word-break: normal; }
}
"""


def theme() -> Default:
    """Blue, plain, with no font that must be fetched."""
    return Default(
        primary_hue="blue", secondary_hue="blue", neutral_hue="slate", font=_FONT, font_mono=_MONO
    )
