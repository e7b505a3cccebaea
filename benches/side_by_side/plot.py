"""Results as SVG: a bar for each column, with whiskers from the smallest round to the largest."""

from html import escape

from . import judge
from .table import number

WIDTH, LEFT, RIGHT = 640, 150, 110
BAR, GAP, TOP = 18, 8, 34

COLOURS = {judge.OURS: "#1f6feb", judge.DIRECT: "#c9d1d9"}
OTHER = "#8b949e"


def svg(row, cells, labels):
    """One row as a picture. `cells` by column."""
    columns = [column for column in labels if column in cells]
    most = max([cells[column].high for column in columns] + [1e-9])
    scale = (WIDTH - LEFT - RIGHT) / most
    height = TOP + len(columns) * (BAR + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="20" font-size="14">{escape(row.title)}, {escape(row.unit)}</text>',
    ]
    for index, column in enumerate(columns):
        y = TOP + index * (BAR + GAP)
        parts += _bar(y, scale, cells[column], labels[column], COLOURS.get(column, OTHER))
    return "\n".join([*parts, "</svg>\n"])


def _bar(y, scale, cell, label, colour):
    middle = y + BAR / 2
    low, high = (LEFT + max(0, value) * scale for value in (cell.low, cell.high))
    width = max(0, cell.median) * scale
    doubt = " ?" if cell.doubt else ""
    return [
        f'<text x="{LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(label)}</text>',
        f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>',
        f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8" '
        'stroke="#24292f" fill="none"/>',
        f'<text x="{high + 6:.1f}" y="{middle + 4}">{number(cell.median)}{doubt}</text>',
    ]
