"""The colours of a chart that stands alone, as presentation attributes: the light theme of the page's tokens. Pure."""

from backend.insights.svg import Paint

_INK_2, _INK_3, _SURFACE, _EDGE = "#4a535c", "#626b74", "#ffffff", "#7e8388"
_MOOD, _MOOD_RAW, _EMBER, _PHQ = "#0f5f80", "#5d8fa6", "#a64b05", "#3d4650"
_GRID, _HATCH = "#e6e6e1", "#c9c9c2"
_FACE = "Arial, Helvetica, Liberation Sans, Noto Sans, sans-serif"
_RIM = {"paint-order": "stroke", "stroke": _SURFACE, "stroke-width": "3", "stroke-linejoin": "round"}
_ROUND = {"stroke-linecap": "round", "stroke-linejoin": "round"}

LIGHT: Paint = {
    "chart": {"font-family": _FACE, "font-size": "11", "fill": _INK_3},
    "mid": {"text-anchor": "middle"},
    "endt": {"text-anchor": "end"},
    "halo": _RIM,
    "lab": {**_RIM, "fill": _INK_2, "font-weight": "600"},
    "end": {"fill": _MOOD, "font-size": "12", "font-weight": "bold"},
    "endp": {"fill": _PHQ, "font-size": "12", "font-weight": "bold"},
    "dose": {"fill": _EMBER, "font-size": "10.5", "font-weight": "bold"},
    "c-grid": {"stroke": _GRID},
    "c-base": {"stroke": _HATCH},
    "c-hatch": {"stroke": _HATCH},
    "c-sil": {"opacity": "0.8"},
    "c-norm": {"fill": _MOOD, "opacity": "0.08"},
    "c-raw": {"fill": "none", "stroke": _MOOD_RAW, "opacity": "0.75", "stroke-linejoin": "round"},
    "c-dot": {"fill": _SURFACE, "stroke": _MOOD_RAW, "stroke-width": "1.25"},
    "c-mean": {"fill": "none", "stroke": _MOOD, "stroke-width": "2.5", **_ROUND},
    "c-endd": {"fill": _MOOD, "stroke": _SURFACE, "stroke-width": "2"},
    "c-ses": {"stroke": _EMBER, "stroke-dasharray": "1 3", "stroke-linecap": "round"},
    "c-dia": {"fill": _EMBER},
    "c-glow": {"stop-color": _EMBER, "stop-opacity": "0.65"},
    "c-gone": {"stop-color": _EMBER, "stop-opacity": "0"},
    "c-note": {"fill": _INK_2},
    "c-span": {"stroke": _INK_2, "stroke-width": "2", "stroke-linecap": "round"},
    "c-rule": {"stroke": _EDGE, "stroke-dasharray": "4 3"},
    "c-phq": {"fill": "none", "stroke": _PHQ, "stroke-width": "2", "stroke-linejoin": "round"},
    "c-phd": {"fill": _SURFACE, "stroke": _PHQ, "stroke-width": "2"},
    "c-sleep": {"fill": "#7d8ba3"},
    "c-move": {"fill": "#2b8a6b"},
    "c-free": {"fill": _HATCH},
    "c-lapse": {"fill": _SURFACE, "stroke": _INK_2, "stroke-width": "1.75"},
}
