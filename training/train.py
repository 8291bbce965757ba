"""
From nothing to the files of the starter model: draw, train, export, write the card.

    python -m training.train                              # about an hour on two cores
    python -m training.train --small --out /tmp/quick     # the preset that ways are compared with

Seeded; interrupted, it continues from the last checkpoint in its cache folder.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from pixfind import machine
from pixfind.demo.canvas import Part
from training import export, lexicon
from training.facts import TINTED, count_facts, grid_colours
from training.gallery import STEP, Gallery, draw_gallery, joined
from training.lexicon import FACTS, NUMBER, SAYABLE
from training.model import GRID, SIDE, Read, Seen, Towers, make_tokenizer
from training.scenes_shapes import COLOURS, SHAPE_LABEL, SHAPES

log = logging.getLogger("training")
SAVED_EVERY = 100
"""Steps from one checkpoint to the next."""
SINGLE = tuple(name for name in SAYABLE if " " not in name or name in lexicon.PHRASES)
SAID_PAIRS = tuple(name for name in SAYABLE if name not in set(SINGLE))
PARTS = len(Part) + len(SHAPES)
#: What comes in named colours: the shapes, flowers, balloons, cars, houses, boats.
THINGS = (*range(len(Part), PARTS), Part.FLOWER, Part.BALLOON, Part.CAR, Part.HOUSE, Part.BOAT)
#: "red circle" -> the colour's number in `TINTED`, the thing's place in `THINGS`.
PAIR_NUMBERS = {
    f"{colour} {thing}": (list(TINTED).index(colour), place)
    for place, thing in enumerate((*SHAPES, *lexicon.THING_WORDS))
    for colour in COLOURS
}
SHAPE_COLUMNS = [NUMBER[shape] for shape in SHAPES]
LONG_WORDS = tuple(word for word in lexicon.known_words() if len(word) >= 5)
PACKAGE = Path(__file__).parents[1] / "src" / "pixfind" / "models" / "starter"


@dataclass(frozen=True)
class Settings:
    """What a run is: the same settings give the same pictures and the same order of batches."""

    pictures: int = 40_000
    shapes: int = 12_000
    epochs: int = 6
    batch: int = 96
    rate: float = 2.5e-3
    seed: int = 0
    prompts: int = 140
    captions_weight: float = 1.0
    prompts_weight: float = 4.0
    facts_weight: float = 1.0
    slips_weight: float = 1.0
    cells_weight: float = 1.0
    pairs_weight: float = 1.0
    slips: int = 16
    least_crop: float = 0.75
    light: float = 0.15
    patched: float = 0.3


#: The preset of comparisons: 10,000 pictures seen five times.
SMALL = {"pictures": 4_000, "shapes": 6_000, "epochs": 5}


class Run:
    """One training run: the pictures, the towers, their moving average, and where it is."""

    def __init__(self, settings: Settings, gallery: Gallery, cache: Path) -> None:
        self.settings, self.gallery = settings, gallery
        self.shown, self.tints = cell_parts(gallery.labels), grid_colours(gallery)
        self.truth = count_facts(gallery, self.tints)
        log.info("counted %d facts of %d pictures", self.truth.shape[1], len(gallery))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(settings.seed)
        rng = np.random.default_rng([settings.seed, 17])
        self.tokenizer = make_tokenizer(_sentences(rng))
        towers = Towers(self.tokenizer.get_vocab_size(), len(FACTS), PARTS, len(TINTED), THINGS)
        self.towers = towers.to(self.device, memory_format=torch.channels_last)
        self.average = {name: value.detach().clone() for name, value in self.towers.state_dict().items()}
        self.steps = settings.epochs * (len(gallery) // settings.batch)
        decay = [p for p in self.towers.parameters() if p.ndim > 1]
        plain = [p for p in self.towers.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decay, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}], lr=settings.rate
        )
        self.weights = fact_weights(self.truth)
        share = np.bincount(self.shown[:: max(1, len(gallery) // 2000)].ravel(), minlength=PARTS) / GRID**2
        self.rarity = self._tensor(1 / np.sqrt(share / share.sum() + 0.01))
        self.step, self.seconds, self.cpu_seconds = 0, 0.0, 0.0
        self.checkpoint = cache / f"checkpoint-{_run_hash(settings)}.pt"
        self._resume()

    def train(self) -> None:
        """All the epochs that are left."""
        per_epoch = len(self.gallery) // self.settings.batch
        self.tokenizer.model.dropout = 0.1
        log.info("from step %d to %d, on %s, %d threads", self.step, self.steps, self.device, torch.get_num_threads())
        while self.step < self.steps:
            self._some_steps(min(self.steps, (self.step // SAVED_EVERY + 1) * SAVED_EVERY), per_epoch)
            self._save()
        self.tokenizer.model.dropout = None

    def _some_steps(self, until: int, per_epoch: int) -> None:
        """Steps up to the next checkpoint, and a line about them."""
        started, cpu, total, first = time.monotonic(), time.process_time(), 0.0, self.step
        while self.step < until:
            epoch, at = divmod(self.step, per_epoch)
            order = np.random.default_rng([self.settings.seed, epoch, 1]).permutation(len(self.gallery))
            total += self._one_step(np.sort(order[at * self.settings.batch : (at + 1) * self.settings.batch]))
            self.step += 1
        seconds = time.monotonic() - started
        self.seconds += seconds
        self.cpu_seconds += time.process_time() - cpu
        log.info(
            "step %d of %d, loss %.3f, %.0f pictures/s, %.0f min left",
            self.step,
            self.steps,
            total / (until - first),
            (until - first) * self.settings.batch / seconds,
            (self.steps - until) * seconds / (until - first) / 60,
        )

    def _one_step(self, rows: np.ndarray) -> float:
        rng = np.random.default_rng([self.settings.seed, self.step, 2])
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate * _schedule(self.step, self.steps)
        self.towers.train()
        loss = self._loss(rows, rng)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.towers.parameters(), 2.0)
        self.optimizer.step()
        keep = min(0.998, (1 + self.step) / (20 + self.step))
        for name, value in self.towers.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - keep)
            else:
                self.average[name].copy_(value)
        return float(loss.detach())

    def _loss(self, rows: np.ndarray, rng: np.random.Generator) -> Tensor:
        truth = self.truth[rows]
        names = _prompted(rng, self.settings.prompts)
        texts = [lexicon.prompt(rng, name) for name in names]
        chosen = [lexicon.choose_facts(rng, row, self.weights) or ["outdoors"] for row in truth]
        texts += [lexicon.caption(rng, facts) for facts in chosen]
        right = [_word(rng) for _ in range(self.settings.slips)]
        texts += [*right, *(lexicon.mistyped(rng, word, 1.0) for word in right)]
        with torch.autocast(self.device.type, torch.bfloat16):
            pixels, shown, tints = self._images(rows, rng)
            seen = self.towers.image.look(pixels)
            images = functional.normalize(seen.embedding.float(), dim=1)
            read = self.towers.text.read(self._tokens(texts))
            guessed = self.towers.image.facts(seen.features).float()
        prompts, captions, spelt, slipped = read.embedding.split([len(names), len(rows), len(right), len(right)])
        numbers = [NUMBER[name] for name in names]
        loss = self.settings.prompts_weight * balanced(
            self.towers.logits(images, prompts), self._tensor(truth[:, numbers])
        )
        loss = loss + self.settings.facts_weight * self._guesses(guessed, truth)
        loss = loss + self.settings.cells_weight * self._cells(seen, shown, tints)
        loss = loss + self.settings.pairs_weight * self._pair_codes(names, read)
        loss = loss + self.settings.slips_weight * (1 - (spelt.detach() * slipped).sum(1)).mean()
        return loss + self.settings.captions_weight * contrast(
            self.towers.logits(images, captions), self._tensor(fits(truth, chosen))
        )

    def _guesses(self, guessed: Tensor, truth: np.ndarray) -> Tensor:
        """How well the classifier knows the facts; shapes count twice, as they come late."""
        shapes = balanced(guessed[:, SHAPE_COLUMNS], self._tensor(truth[:, SHAPE_COLUMNS]))
        return balanced(guessed, self._tensor(truth)) + shapes

    def _pair_codes(self, names: list[str], read: Read) -> Tensor:
        """How far the colours and things of pairs, as texts say them, are from the codes that the image tower uses."""
        rows = [row for row, name in enumerate(names) if name in PAIR_NUMBERS]
        colours, things = (list(numbers) for numbers in zip(*(PAIR_NUMBERS[names[row]] for row in rows), strict=True))
        cells = self.towers.image.cells
        near = functional.cosine_similarity(read.colour[rows], cells.of_colour[colours])
        return 2 - (near + functional.cosine_similarity(read.thing[rows], cells.of_thing[things])).mean()

    def _cells(self, seen: Seen, shown: Tensor, tints: Tensor) -> Tensor:
        """How well each cell knows what it shows; common parts count less."""
        part = functional.cross_entropy(seen.parts, shown, self.rarity)
        return part + 0.5 * functional.cross_entropy(seen.colours, tints, ignore_index=-1)

    def _images(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """A batch, each picture framed and lit in its own way: pixels, what each cell shows, its colour name's number or -1."""
        block = torch.from_numpy(self.gallery.pixels[rows]).to(self.device)
        side, count = block.shape[1], len(rows)
        reach = rng.uniform(self.settings.least_crop, 1, (2, count))
        centre = rng.uniform(-1, 1, (2, count)) * (1 - reach)
        flipped = np.where(rng.random(count) < 0.5, -1.0, 1.0)
        frame = np.zeros((count, 2, 3))
        frame[:, 0, 0], frame[:, 0, 2] = reach[0] * flipped, centre[0]
        frame[:, 1, 1], frame[:, 1, 2] = reach[1], centre[1]
        grid = functional.affine_grid(self._tensor(frame), [count, 3, SIDE, SIDE], align_corners=False)
        images = functional.grid_sample(
            block.permute(0, 3, 1, 2).float(), grid, align_corners=False, padding_mode="border"
        )
        light = rng.normal(0, self.settings.light, (count, 1)) + rng.normal(0, self.settings.light / 4, (count, 3))
        images = (images * self._tensor(np.exp(light))[:, :, None, None]).clamp(max=255)
        scaled = ((images / 255 - 0.5) / 0.25).contiguous(memory_format=torch.channels_last)
        cells = ((np.arange(GRID) + 0.5) * 2 / GRID - 1)[None]
        across, down = (
            (((cells * frame[:, axis, axis, None] + frame[:, axis, 2, None]) + 1) / 2 * (side // STEP)).astype(int)
            for axis in (0, 1)
        )
        at = (np.arange(count)[:, None, None], down[:, :, None], across[:, None, :])
        shown, tints = (
            torch.from_numpy(kept[rows][at].astype(np.int64)).to(self.device) for kept in (self.shown, self.tints)
        )
        if rng.random() < self.settings.patched:
            self._patch(scaled, shown, tints, rng)
        return scaled, shown, tints

    def _patch(self, images: Tensor, shown: Tensor, tints: Tensor, rng: np.random.Generator) -> None:
        """Half of a batch gets a patch of another picture: what is behind something is still there."""
        tall, wide = (int(rng.integers(2, 5)) for _ in range(2))
        top, left = int(rng.integers(GRID - tall + 1)), int(rng.integers(GRID - wide + 1))
        half, cell = len(images) // 2, SIDE // GRID
        for planes, size in ((images, cell), (shown, 1), (tints, 1)):
            rows, columns = slice(top * size, (top + tall) * size), slice(left * size, (left + wide) * size)
            planes[:half, ..., rows, columns] = planes[half : 2 * half, ..., rows, columns].clone()

    def _tokens(self, texts: list[str]) -> Tensor:
        rows = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        tokens = torch.tensor(rows, dtype=torch.int64)
        longest = int((tokens != 0).sum(1).max())
        return tokens[:, :longest].to(self.device)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self.device)

    def _save(self) -> None:
        state = {"towers": self.towers.state_dict(), "average": self.average, "optimizer": self.optimizer.state_dict()}
        part = self.checkpoint.with_suffix(".part")
        # Trained again, the tokenizer may number some pieces otherwise: its trainer breaks ties at random.
        state["tokenizer"] = self.tokenizer.to_str()
        torch.save({**state, "step": self.step, "seconds": self.seconds, "cpu_seconds": self.cpu_seconds}, part)
        part.rename(self.checkpoint)

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.towers.load_state_dict(state["towers"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.tokenizer = Tokenizer.from_str(state["tokenizer"])
        self.average, self.step = state["average"], state["step"]
        self.seconds, self.cpu_seconds = state["seconds"], state["cpu_seconds"]
        log.info("going on from step %d", self.step)

    def finished(self) -> Towers:
        """The towers with averaged weights, ready to use."""
        self.towers.load_state_dict(self.average)
        return self.towers.eval()


def _run_hash(settings: Settings) -> str:
    """What a checkpoint belongs to: these settings and this code, so that no other run ever continues from it."""
    return hashlib.sha256(f"{settings} {export.code_hash()}".encode()).hexdigest()[:12]


def _word(rng: np.random.Generator) -> str:
    """A known word that is long enough to be misspelt."""
    return LONG_WORDS[int(rng.integers(len(LONG_WORDS)))]


def cell_parts(labels: np.ndarray) -> np.ndarray:
    """Labels as class numbers: the parts, then the shapes."""
    return np.where(labels >= SHAPE_LABEL, labels - SHAPE_LABEL + len(Part), labels).astype(np.uint8)


def fact_weights(truth: np.ndarray) -> np.ndarray:
    """How often a caption should mention a fact: rarer ones more; facts that may not be said never."""
    frequency = (truth == 1).mean(axis=0)
    weights = 1 / np.sqrt(frequency + 0.003)
    sayable = np.array([name in set(SAYABLE) for name in FACTS])
    return np.asarray(weights * sayable)


def _prompted(rng: np.random.Generator, count: int) -> list[str]:
    """The facts to ask for in one step: all single ones, and some of the pairs."""
    extra = rng.choice(len(SAID_PAIRS), max(0, count - len(SINGLE) - 2 * len(SHAPES)), replace=False)
    return [*SINGLE, *SHAPES, *SHAPES, *(SAID_PAIRS[index] for index in extra)]


def fits(truth: np.ndarray, chosen: list[list[str]]) -> np.ndarray:
    """Which caption is true of which picture: 1 when all its facts are, 0 when one is false, else -1."""
    answer = np.empty((len(truth), len(chosen)), np.int8)
    for column, names in enumerate(chosen):
        facts = truth[:, [NUMBER[name] for name in names]]
        answer[:, column] = np.where((facts == 0).any(axis=1), 0, np.where((facts == 1).all(axis=1), 1, -1))
    np.fill_diagonal(answer, 1)
    return answer


def balanced(logits: Tensor, truth: Tensor) -> Tensor:
    """Sigmoid loss where true and false weigh the same for each text; unknown does not count."""
    true, false = (truth == 1).float(), (truth == 0).float()
    hits = true.sum(0).clamp(min=1)
    misses = false.sum(0).clamp(min=1)
    weight = true / hits.sqrt() + false / misses.sqrt() * (hits / misses).clamp(max=1).pow(0.25)
    loss = functional.binary_cross_entropy_with_logits(logits, true, reduction="none")
    return (loss * weight).sum() / weight.sum().clamp(min=1e-6)


def contrast(logits: Tensor, truth: Tensor) -> Tensor:
    """Softmax loss in both directions with several right answers; unknown pairs are left out."""
    known = torch.where(truth == -1, torch.full_like(logits, -1e4), logits)
    total = logits.new_zeros(())
    for axis in (0, 1):
        chance = known.log_softmax(axis)
        right = (truth == 1).float()
        total = total - ((chance * right).sum(axis) / right.sum(axis).clamp(min=1)).mean()
    return total / 2


def _schedule(step: int, steps: int) -> float:
    warm = min(1.0, (step + 1) / 200)
    return warm * (0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * step / max(1, steps)))))


def _sentences(rng: np.random.Generator) -> list[str]:
    """What the tokenizer learns its pieces from: every phrase, with misspellings."""
    names = [name for name in SAYABLE for _ in range(12)]
    words = [word for word in lexicon.known_words() for _ in range(20)]
    return (
        [lexicon.prompt(rng, name) for name in names]
        + [lexicon.mistyped(rng, word, 0.3) for word in words]
        + list(lexicon.FILLERS) * 3
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.train", description="Train the starter model from nothing."
    )
    for name, value in Settings().__dict__.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--out", type=Path, default=PACKAGE, help="where the model's files go")
    parser.add_argument("--cache", type=Path, default=Path("build") / "training")
    parser.add_argument("--small", action="store_true", help="a sixth of the work: to compare ways, not to ship")
    parser.add_argument("--processes", type=int, default=2, help="for drawing")
    parser.add_argument("--threads", type=int, default=0, help="for training; as many as there are cores unless given")
    arguments = vars(parser.parse_args())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    out, cache, processes, threads = (arguments.pop(name) for name in ("out", "cache", "processes", "threads"))
    small = arguments.pop("small")
    settings = Settings(**{**arguments, **(SMALL if small else {})})
    machine.keep_freed_memory(8 << 30)
    if threads:
        torch.set_num_threads(threads)
    shards = -(-settings.pictures // 1000)
    drawn_from = time.monotonic()
    gallery = draw_gallery(
        cache, settings.pictures, 1, processes, report=lambda n: log.info("drawn %d of %d thousand", n, shards)
    )
    if settings.shapes:
        for seed, kind in ((2, "shapes"), (3, "crossed")):
            gallery = joined(gallery, draw_gallery(cache, settings.shapes // 2, seed, processes, kind))
    drawing = time.monotonic() - drawn_from
    run = Run(settings, gallery, cache)
    run.train()
    export.write_model(
        out,
        run.finished().cpu(),
        run.tokenizer,
        {
            **settings.__dict__,
            "drawing_seconds": round(drawing),
            "training_seconds": round(run.seconds),
            "training_cpu_seconds": round(run.cpu_seconds),
            "threads": torch.get_num_threads(),
            "device": run.device.type,
        },
    )
    log.info("written to %s", out)


if __name__ == "__main__":
    main()
