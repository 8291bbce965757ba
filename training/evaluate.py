"""
Figures of a model folder: on held-out drawn pictures, on held-out pairs, on a folder of real photos, and its speed.

    python -m training.evaluate                                    # drawn pictures, pairs, speed; writes the card's figures
    python -m training.evaluate --photos FOLDER --sheets OUT       # contact sheets of real photos, for the eye

Loads the files as pixfind does, through onnxruntime and tokenizers; needs no torch.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw, ImageOps
from tokenizers import Tokenizer

from training import lexicon
from training.export import write_card
from training.facts import count_facts
from training.gallery import Gallery, draw_gallery
from training.lexicon import FACTS, NUMBER
from training.scenes_shapes import COLOURS, HELD_OUT

PACKAGE = Path(__file__).parents[1] / "src" / "pixfind" / "models" / "starter"
SHEET_WORDS = ("sky", "snow", "beach", "grass", "night", "sunset", "forest", "water", "red")
EVALUATION_SEED = 1001


class Model:
    """A model folder, opened."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.visual = onnxruntime.InferenceSession(str(folder / "visual" / "model.onnx"), options)
        self.textual = onnxruntime.InferenceSession(str(folder / "textual" / "model.onnx"), options)
        self.tokenizer = Tokenizer.from_file(str(folder / "textual" / "tokenizer.json"))
        self.preparation = json.loads((folder / "visual" / "preprocess_cfg.json").read_text())

    def images(self, pictures: list[Image.Image]) -> np.ndarray:
        """Unit embeddings of pictures."""
        found = [
            self.visual.run(None, {"image": self.prepare(pictures[at : at + 64])})[0]
            for at in range(0, len(pictures), 64)
        ]
        return _unit(np.concatenate(found))

    def prepare(self, pictures: list[Image.Image]) -> np.ndarray:
        """Pictures as the image tower wants them."""
        height, width = self.preparation["size"]
        small = np.stack(
            [
                np.asarray(p.convert("RGB").resize((width, height), Image.Resampling.BILINEAR), np.float32)
                for p in pictures
            ]
        )
        scaled = (small / 255 - np.float32(self.preparation["mean"])) / np.float32(self.preparation["std"])
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))

    def texts(self, queries: list[str]) -> np.ndarray:
        """Unit embeddings of queries."""
        tokens = np.array([e.ids for e in self.tokenizer.encode_batch(queries)], np.int32)
        return _unit(self.textual.run(None, {"text": tokens})[0])


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Average precision of a ranking; `truth` holds 1 and 0, anything else is left out."""
    known = truth >= 0
    ranked = truth[known][np.argsort(-scores[known], kind="stable")] == 1
    if not ranked.any():
        return float("nan")
    return float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked].mean())


def drawn_figures(model: Model, gallery: Gallery) -> dict[str, object]:
    """Retrieval of 1,000 captions among 1,000 pictures, and average precision for each word."""
    truth = count_facts(gallery)
    images = model.images([Image.fromarray(pixels) for pixels in gallery.pixels])
    rng = np.random.default_rng(5)
    rows = [row for row in range(len(truth)) if (truth[row] == 1).any()][:1000]
    chosen = [_full_caption(rng, truth[row]) for row in rows]
    scores = model.texts([lexicon.caption(rng, names) for names in chosen]) @ images[rows].T
    ranks = (scores > np.diag(scores)[:, None]).sum(axis=1)
    fitting = np.array([(truth[rows][:, [NUMBER[n] for n in names]] == 1).all(axis=1) for names in chosen])
    first = fitting[np.arange(len(rows)), scores.argmax(axis=1)]
    words = _word_precision(model, images, truth)
    return {
        "R@1 of 1000": round(float((ranks < 1).mean()), 3),
        "R@10 of 1000": round(float((ranks < 10).mean()), 3),
        "first answer fits the caption": round(float(first.mean()), 3),
        "mean AP over words": round(float(np.nanmean([ap for ap, _ in words.values()])), 3),
        "AP per word (base rate)": {word: f"{ap:.2f} ({base:.3f})" for word, (ap, base) in words.items()},
    }


def _full_caption(rng: np.random.Generator, row: np.ndarray) -> list[str]:
    """Up to six true facts: as much as a sentence holds, so that few other pictures fit."""
    names = [index for index in np.flatnonzero(row == 1) if FACTS[index] in set(lexicon.SAYABLE)]
    return [FACTS[index] for index in rng.permutation(names)[:6]]


def _word_precision(model: Model, images: np.ndarray, truth: np.ndarray) -> dict[str, tuple[float, float]]:
    singles = [
        name
        for name in FACTS
        if (name in lexicon.PHRASES or " " not in name) and (truth[:, NUMBER[name]] == 1).sum() >= 5
    ]
    queries = model.texts([lexicon.say(_Plain(), name) for name in singles])  # type: ignore[arg-type]
    found = {}
    for name, query in zip(singles, queries, strict=True):
        column = truth[:, NUMBER[name]]
        found[name] = (average_precision(images @ query, column), float((column == 1).sum() / (column >= 0).sum()))
    return found


class _Plain:
    """A generator that always takes the first way to say a fact."""

    def random(self) -> float:
        return 0.0

    def integers(self, _: int) -> int:
        return 0


def pair_figures(model: Model, seen: Gallery, unseen: Gallery) -> dict[str, float]:
    """Average precision of "a red circle", for pairs drawn in training and for pairs never drawn there."""
    pixels = np.concatenate([seen.pixels, unseen.pixels])
    images = model.images([Image.fromarray(p) for p in pixels])
    drawn = [{(str(c), str(s)) for c, s in entry["pairs"]} for entry in (*seen.known, *unseen.known)]  # type: ignore[attr-defined]
    figures: dict[str, list[float]] = {"seen pairs": [], "held-out pairs": []}
    every = sorted({pair for pairs in drawn for pair in pairs if pair[0] in COLOURS})
    queries = model.texts([f"a {colour} {shape}" for colour, shape in every])
    for pair, query in zip(every, queries, strict=True):
        truth = np.array([int(pair in pairs) for pairs in drawn])
        figures["held-out pairs" if pair in HELD_OUT else "seen pairs"].append(average_precision(images @ query, truth))
    return {name: round(float(np.mean(values)), 3) for name, values in figures.items()}


def photo_figures(model: Model, folder: Path, labels: Path) -> dict[str, str]:
    """
    Average precision, base rate and their ratio for each word on real photos labelled by hand.

    `labels` is JSON: {"sky": {"yes": [file names], "unsure": [file names]}, ...}; every other file in `folder` is a no.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    images = model.images([_opened(folder / name) for name in names])
    figures, ratios = {}, []
    for word, said in json.loads(labels.read_text()).items():
        truth = np.array([1 if name in said["yes"] else -1 if name in said["unsure"] else 0 for name in names])
        ap, base = average_precision(images @ model.texts([word])[0], truth), (truth == 1).sum() / (truth >= 0).sum()
        ratios.append(ap / base)
        figures[word] = f"{ap:.2f} ({base:.3f}): {ap / base:.1f} times"
    return {**figures, "mean over words": f"{np.mean(ratios):.1f} times"}


def speed(folder: Path, photos: list[Path]) -> dict[str, float]:
    """Images a second on one core, with and without preparing them, and milliseconds a query."""
    model = Model(folder)
    batch = np.zeros((64, 3, *model.preparation["size"]), np.float32)
    rates = {"images/s on one core, without decoding": 64 / _best(lambda: model.visual.run(None, {"image": batch}))}
    if photos:
        rates["images/s on one core, with decoding"] = len(photos[:64]) / _best(
            lambda: model.images([_opened(p) for p in photos[:64]]), 3
        )
    rates["ms a query"] = 1000 * _best(lambda: model.texts(["a red flower on a green meadow"]))
    return {name: round(value, 2) for name, value in rates.items()}


def _best(act: object, times: int = 7) -> float:
    assert callable(act)
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        spent.append(time.perf_counter() - start)
    return min(spent)


def _opened(path: Path) -> Image.Image:
    image = Image.open(path)
    image.draft("RGB", (160, 160))
    return image.convert("RGB")


def photo_sheets(model: Model, photos: list[Path], words: tuple[str, ...], out: Path, top: int = 8) -> None:
    """One row of the best photos per word."""
    images = model.images([_opened(path) for path in photos])
    side = 128
    sheet = Image.new("RGB", (60 + top * side, len(words) * side), "white")
    for row, (word, query) in enumerate(zip(words, model.texts(list(words)), strict=True)):
        ImageDraw.Draw(sheet).text((4, row * side + side // 2), word, fill="black")
        for column, index in enumerate(np.argsort(-(images @ query))[:top]):
            sheet.paste(
                ImageOps.pad(_opened(photos[int(index)]), (side - 2, side - 2)), (60 + column * side, row * side)
            )
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description="Measure a model folder.")
    parser.add_argument("--model", type=Path, default=PACKAGE)
    parser.add_argument("--cache", type=Path, default=Path("build") / "training", help="where drawn pictures are kept")
    parser.add_argument("--photos", type=Path, help="a folder of real photos")
    parser.add_argument(
        "--labels", type=Path, help="which photo shows what, as JSON: prints average precision per word"
    )
    parser.add_argument("--sheets", type=Path, help="where a contact sheet of them goes")
    parser.add_argument("--words", default=",".join(SHEET_WORDS))
    parser.add_argument("--card", action="store_true", help="write the figures into the model's card")
    arguments = parser.parse_args()
    model = Model(arguments.model, threads=2)
    photos = sorted(p for p in arguments.photos.iterdir() if p.is_file()) if arguments.photos else []
    if arguments.sheets and photos:
        photo_sheets(model, photos, tuple(arguments.words.split(",")), arguments.sheets)
        return
    if arguments.labels and photos:
        print(json.dumps(photo_figures(model, arguments.photos, arguments.labels), indent=2))
        return
    cache = arguments.cache
    figures = drawn_figures(model, draw_gallery(cache, 1000, EVALUATION_SEED, 2))
    figures["pairs"] = pair_figures(
        model, *(draw_gallery(cache, 500, EVALUATION_SEED, 2, kind) for kind in ("shapes", "held-out"))
    )
    figures["speed"] = speed(arguments.model, photos)
    print(json.dumps(figures, indent=2))
    if arguments.card:
        write_card(arguments.model, {"figures": figures})


if __name__ == "__main__":
    main()
