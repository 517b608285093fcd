"""Two plots as SVG, of the rows that were measured. They follow the reader's light or dark theme."""

import math
from xml.sax.saxutils import escape

STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 }
.section { font-weight: 600 }
.value, .axis { fill: #59636e; font-size: 11px }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.peer { fill: #9aa4b0 }
.ours { fill: #1a7f64 }
.line { fill: none; stroke-width: 2 }
.a { stroke: #1a7f64 } .a-dot { fill: #1a7f64 }
.b { stroke: #b35900 } .b-dot { fill: #b35900 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .value, .axis { fill: #9198a1 } .grid { stroke: #3d444d }
  .peer { fill: #6e7781 } .ours { fill: #3fb68b }
  .a { stroke: #3fb68b } .a-dot { fill: #3fb68b } .b { stroke: #e0883a } .b-dot { fill: #e0883a }
}
</style>"""

# What is plotted as bars, from which section, and which rows of it.
GROUPS = [
    ("From C and Rust", "native", lambda row: "memory" not in row and "2 threads" not in row),
    ("Python", "python", lambda row: row == "scoutcore, a statement" or not row.startswith(("scoutcore", "of which"))),
    ("Ruby", "ruby", lambda row: row == "ffi: a statement" or not row.startswith(("ffi", "fiddle"))),
    ("Elixir", "elixir", lambda row: "a statement" in row or "one call" in row),
    ("Node", "node", lambda row: "floor" not in row),
]


def nanos(value):
    for unit, size in (("ms", 1e6), ("us", 1e3)):
        if value >= size:
            return "%.3g %s" % (value / size, unit.replace("us", "µs"))
    return "%.3g ns" % value


def _document(width, height, parts):
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">'
    return "\n".join([head % (width, height, width, height), STYLE, *parts, "</svg>\n"])


def _text(x, y, text, kind="", anchor="start"):
    return '<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>' % (x, y, kind, anchor, escape(text))


def _vertical(x, top, bottom):
    return '<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>' % (x, x, top, bottom)


def bars(rows, path):
    """What a span costs, a bar a row, on one logarithmic scale."""
    groups = []
    for title, section, wanted in GROUPS:
        chosen = [row for row in rows if row["section"] == section and row["unit"] == "ns/span"
                  and row["median"] > 0 and wanted(row["row"])]  # fmt: skip
        if chosen:
            groups.append((title, sorted(chosen, key=lambda row: row["median"])))
    values = [row["median"] for _, chosen in groups for row in chosen]
    if not values:
        return
    left, width, line = 440, 940, 22
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    right = width - 80

    def at(value):
        return left + (math.log10(value) - low) / (high - low) * (right - left)

    body, y = [], 66
    for title, chosen in groups:
        body.append(_text(16, y, title, "section"))
        y += line - 2
        for row in chosen:
            kind = "ours" if row["ours"] else "peer"
            # A row without its own name in it, for the plot's sake.
            body.append(_text(left - 8, y, row["row"], "", "end"))
            body.append('<rect class="%s" x="%d" y="%d" width="%.1f" height="14" rx="2"/>'
                        % (kind, left, y - 11, max(at(row["median"]) - left, 1)))  # fmt: skip
            body.append(_text(max(at(row["median"]), left + 1) + 6, y, nanos(row["median"]), "value"))
            y += line
        y += 8
    grid = []
    for power in range(low, high + 1):
        grid.append(_vertical(at(10**power), 44, y - 14))
        grid.append(_text(at(10**power), 40, nanos(10**power), "axis", "middle"))
    title = _text(16, 22, "What recording a span costs the thread that records it (logarithmic; less is better)", "title")
    with open(path, "w", encoding="utf-8") as file:
        file.write(_document(width, y + 4, [title, *grid, *body]))


def growth(rows, path):
    """What analysing a span costs, by endpoints of the application and spans of the request."""
    lines = {}
    for row in rows:
        if row["section"] == "growth":
            name, count = row["row"].split(": ")
            lines.setdefault(name, []).append((int(count), row["median"]))
    if not lines:
        return
    width, height, left, top, bottom = 880, 340, 70, 50, 290
    right = width - 40
    most = max(count for points in lines.values() for count, _ in points)
    tallest = max(value for points in lines.values() for _, value in points) * 1.15
    step = 10 ** math.floor(math.log10(tallest))
    step = step / 2 if tallest / step < 4 else step

    def place(count, value):
        return left + math.log10(count) / math.log10(most) * (right - left), bottom - value / tallest * (bottom - top)

    parts = [_text(16, 22, "What analysing a span costs (ns of CPU), by how much there is of it", "title")]
    value = 0
    while value <= tallest:
        y = place(1, value)[1]
        parts.append('<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>' % (left, right, y, y))
        parts.append(_text(left - 8, y + 4, "%g" % value, "axis", "end"))
        value += step
    for power in range(round(math.log10(most)) + 1):
        x = place(10**power, 0)[0]
        parts.append(_text(x, bottom + 18, format(10**power, ","), "axis", "middle"))
    for at, (kind, (name, points)) in enumerate(zip("ab", sorted(lines.items()))):
        points = [place(count, value) for count, value in sorted(points)]
        corners = " ".join("%.1f,%.1f" % point for point in points)
        parts.append('<polyline class="line %s" points="%s"/>' % (kind, corners))
        parts.extend('<circle class="%s-dot" cx="%.1f" cy="%.1f" r="3.5"/>' % (kind, *point) for point in points)
        x = left + at * 260
        parts.append('<circle class="%s-dot" cx="%d" cy="%d" r="5"/>' % (kind, x, height - 16))
        parts.append(_text(x + 12, height - 12, name))
    with open(path, "w", encoding="utf-8") as file:
        file.write(_document(width, height, parts))
