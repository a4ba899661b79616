"""asv's own pages, where names and source code are to be text and nothing else.

asv 0.6.6 puts HTML together of the names of benchmarks, parameters, machines and tags, and of a benchmark's source: a
parameter named `<img src=x onerror=...>` runs a script in the browser of everybody who looks at the pages. So what asv
has copied beside its pages is mended there, at each of these places, and asv itself is left alone. The places are known
by their text, the smallest part of it that tells them apart; a test holds it against the asv that is installed.
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import StartError

#: By file: what stands there, and what it becomes. `escaped` is in site/escaped.js.
_MENDED = {
    "asv_ui.js": (
        ("heading\">' + heading + '</div>", "heading\">' + escaped(heading) + '</div>"),
        ("'graphs/summary/' + benchmark_basename + '.json'", "$.asv.graph_to_path(benchmark_basename, {summary: ''})"),
    ),
    "graphdisplay.js": (
        ("caret-right\"/> ' + parts[j] +", "caret-right\"/> ' + escaped(parts[j]) +"),
        (
            "href=\"#' + bm_name + '\">' + name + '</li>",
            "href=\"#' + escaped(encodeURIComponent(bm_name)) + '\">' + escaped(name) + '</li>",
        ),
        ("title: bm.code,\n                html: true", "title: bm.code,\n                html: false"),
        ("title: contents,\n                    html: true", "title: contents,\n                    html: false"),
        ("details.push(key + ': ' + val)", "details.push(escaped(key + ': ' + val))"),
        ('\'>" + tag + "</div>', '\'>" + escaped(tag) + "</div>'),
    ),
    "summarygrid.js": (
        ("href=\"#' + bm.name +", "href=\"#' + escaped(encodeURIComponent(bm.name)) +"),
        ("id=\"summarygrid-' + bm.name + '\"", "id=\"summarygrid-' + escaped(bm.name) + '\""),
        ("benchmark-text\">' + display_name + '</div>", "benchmark-text\">' + escaped(display_name) + '</div>"),
        ("title: bm.name,\n            html: true", "title: bm.name,\n            html: false"),
        ("title: bm.code,\n            html: true", "title: bm.code,\n            html: false"),
        ("<h1>' + group + '</h1>", "<h1>' + escaped(group) + '</h1>"),
        ("'graphs/summary/' + bm.name + '.json'", "$.asv.graph_to_path(bm.name, {summary: ''})"),
    ),
    "summarylist.js": (("details.push(key + ': ' + val)", "details.push(escaped(key + ': ' + val))"),),
}


def mend(pages: Path) -> None:
    """Mend what asv has put into the folder of its pages. Raises StartError where a script is not as it is known, which
    then stays as asv wrote it."""
    unknown = []
    for name, places in _MENDED.items():
        text = (pages / name).read_text()
        if any(text.count(place) != 1 for place, _ in places):
            unknown.append(name)
            continue
        for place, mended in places:
            text = text.replace(place, mended)
        (pages / name).write_text(text)
    if unknown:
        raise StartError(
            f"this asv's {', '.join(unknown)} are not known here, so the name of a benchmark, a parameter or a tag can "
            "be a script that runs in the browser of whoever looks at the pages: publish only names that you trust"
        )
