"""
The two towers: a small residual network for pictures and a small transformer for words.

Owns the architecture and the tokenizer. Must not know pictures, facts or files.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional

DIMENSION = 128
PAIRED = 48
"""Of these, how many are for pairs alone ("a red circle"), the last ones."""
PAIR_LENGTH = 0.5
"""How long one pair is beside all the rest of a picture: found for sure, and the rest of the embedding is hardly shortened."""
SIDE = 80
GRID = SIDE // 8
CONTEXT = 32
VOCABULARY = 1500
PAD = 0


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.body(x))


def _down(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())


class Seen(NamedTuple):
    """What the image tower makes of a batch."""

    parts: Tensor
    """(pictures, parts, 10, 10) logits"""
    colours: Tensor
    """(pictures, colours, 10, 10) logits"""
    features: Tensor
    """(pictures, width) pooled"""
    embedding: Tensor
    """(pictures, 128), not yet of length one: 80 numbers for everything, 48 for pairs"""


class Cells(nn.Module):
    """
    What each cell of a 10 x 10 grid shows, and in which colour, taught cell by cell from the drawing's own labels.

    Its pooled guesses join the embedding: how much of the picture each part fills, and which thing has which colour. A pair's
    code is the product of its colour's and its thing's, so a pair never seen is as good as its two words.
    """

    def __init__(self, width: int, parts: int, colours: int, things: tuple[int, ...]) -> None:
        super().__init__()
        self.part, self.colour = nn.Conv2d(width, parts, 1), nn.Conv2d(width, colours, 1)
        self.things = things
        signs = pair_signs()
        self.of_colour: Tensor
        self.of_thing: Tensor
        self.register_buffer("of_colour", signs[:colours])
        self.register_buffer("of_thing", signs[colours : colours + len(things)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Part logits and colour logits of every cell; pooled guesses; the codes of the pairs that are there, added up."""
        parts, colours = self.part(x).float(), self.colour(x).float()
        part, colour = parts.softmax(1).flatten(2), colours.softmax(1).flatten(2)
        pooled = torch.cat([part.mean(2), part.amax(2), colour.mean(2), colour.amax(2)], 1)
        thing = part[:, list(self.things)]
        pairs = (thing[:, :, None] * colour[:, None]).amax(3)
        return parts, colours, pooled, ((pairs @ self.of_colour) * self.of_thing).sum(1) * PAIR_LENGTH / PAIRED**0.5


def pair_signs() -> Tensor:
    """
    A Hadamard matrix of order 48 (Paley's first construction, https://en.wikipedia.org/wiki/Paley_construction): (48, 48) of 1 and -1.

    Its rows are at right angles, so "red circle" has nothing in common with "red square" nor with "blue circle": products of two
    rows that share one. Learnt codes had up to half in common, and cost a tenth of the average precision of pairs.
    """
    order = PAIRED - 1
    squares = {number * number % order for number in range(1, order)}
    kinds = torch.tensor([0.0, *(1.0 if number in squares else -1.0 for number in range(1, order))])
    at = torch.arange(order)
    signs = torch.eye(PAIRED)
    signs[0, 1:] = 1
    signs[1:, 0] = -1
    signs[1:, 1:] += kinds[(at[:, None] - at) % order]
    return signs


class ImageTower(nn.Module):
    """Pictures of 80 x 80 to embeddings. Colours are pooled early, shapes and scenes late."""

    def __init__(
        self,
        facts: int,
        parts: int,
        colours: int,
        things: tuple[int, ...],
        widths: tuple[int, int, int, int] = (24, 48, 96, 160),
    ) -> None:
        super().__init__()
        one, two, three, four = widths
        self.fine = nn.Sequential(_down(3, one), Block(one))
        self.middle = nn.Sequential(_down(one, two), Block(two), Block(two))
        self.coarse = nn.Sequential(_down(two, three), Block(three), Block(three))
        self.whole = nn.Sequential(_down(three, four), Block(four))
        self.cells = Cells(two + three + four, parts, colours, things)
        width = one + two + 2 * three + 2 * four + 2 * parts + 2 * colours
        self.norm = nn.BatchNorm1d(width)
        self.project = nn.Linear(width, DIMENSION - PAIRED)
        self.facts = nn.Linear(width, facts)

    def look(self, x: Tensor) -> Seen:
        """Averages of every stage, maxima of the late ones, and what the cells show."""
        fine = self.fine(x)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        whole = self.whole(coarse)
        wide = functional.interpolate(whole, scale_factor=2.0, mode="nearest")
        parts, colours, guesses, pairs = self.cells(torch.cat([functional.avg_pool2d(middle, 2), coarse, wide], 1))
        pooled = [
            fine.mean((2, 3)),
            middle.mean((2, 3)),
            coarse.mean((2, 3)),
            coarse.amax((2, 3)),
            whole.mean((2, 3)),
            whole.amax((2, 3)),
            guesses,
        ]
        features = self.norm(torch.cat([part.float() for part in pooled], 1))
        whole_picture = functional.normalize(self.project(features).float(), dim=1)
        return Seen(parts, colours, features, torch.cat([whole_picture, pairs], 1))

    def forward(self, x: Tensor) -> Tensor:
        return functional.normalize(self.look(x).embedding.float(), dim=1)


class TextTower(nn.Module):
    """Token numbers to embeddings."""

    def __init__(self, vocabulary: int, width: int = 128, layers: int = 2) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width, padding_idx=PAD)
        self.places = nn.Parameter(torch.randn(CONTEXT, width) * 0.02)
        self.layers = nn.ModuleList(Attention(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, DIMENSION - PAIRED)
        self.asked = nn.Linear(width, 2)
        self.colour, self.thing = nn.Linear(width, PAIRED), nn.Linear(width, PAIRED)
        self.paired = nn.Linear(width, 1)
        nn.init.normal_(self.tokens.weight, std=0.3)

    def forward(self, text: Tensor) -> Tensor:
        return self.read(text).embedding

    def read(self, text: Tensor) -> Read:
        """The embedding: what the text says as a whole, and, as far as it speaks of a pair, that pair."""
        seen = (text != PAD).float()
        words = self.tokens(text)
        x = words + self.places[: text.shape[1]]
        for layer in self.layers:
            x = layer(x, seen)
        x = self.norm(x)
        total = (x * seen[..., None]).sum(1) / seen.sum(1, keepdim=True).clamp(min=1)
        paired = self.paired(total).sigmoid()
        plain = functional.normalize(self.project(total).float(), dim=1)
        # The colour word and the thing word, each found by attention, each as it is in any other company.
        weight = (self.asked(x) - 1e4 * (1 - seen)[..., None]).softmax(1)
        asked = (weight.transpose(1, 2) @ words).unbind(1)
        colour, thing = self.colour(asked[0]).float(), self.thing(asked[1]).float()
        both = torch.cat([(1 - paired) * plain, paired * functional.normalize(colour * thing, dim=1)], 1)
        return Read(functional.normalize(both, dim=1), colour, thing)


class Read(NamedTuple):
    """What the text tower makes of a batch."""

    embedding: Tensor
    """(texts, 128), of length one"""
    colour: Tensor
    """(texts, 48): the colour of the pair that it speaks of, if it does"""
    thing: Tensor
    """(texts, 48): the thing"""


class Attention(nn.Module):
    """One transformer layer, written out so that any ONNX runtime can run it."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads, self.before, self.between = heads, nn.LayerNorm(width), nn.LayerNorm(width)
        self.inward, self.outward = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        batch, length, width = x.shape
        parts = self.inward(self.before(x)).reshape(batch, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        weight = query @ key.transpose(-1, -2) / (width // self.heads) ** 0.5
        weight = (weight - 1e4 * (1 - seen)[:, None, None, :]).softmax(-1)
        x = x + self.outward((weight @ value).transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp(self.between(x))


class Towers(nn.Module):
    """Both towers, and the scale and bias that turn their cosines into logits."""

    def __init__(self, vocabulary: int, facts: int, parts: int, colours: int, things: tuple[int, ...]) -> None:
        super().__init__()
        self.image = ImageTower(facts, parts, colours, things)
        self.text = TextTower(vocabulary)
        self.scale = nn.Parameter(torch.tensor(2.3))
        self.bias = nn.Parameter(torch.tensor(-3.0))

    def logits(self, images: Tensor, texts: Tensor) -> Tensor:
        """How well each image fits each text."""
        return images @ texts.T * self.scale.exp().clamp(max=40) + self.bias


def make_tokenizer(sentences: list[str]) -> Tokenizer:
    """Lower case, accents off, words, then byte-pair pieces learnt from our own captions; padding and all."""
    tokenizer = Tokenizer(models.BPE(unk_token="[unk]", end_of_word_suffix="</w>"))  # noqa: S106
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[^\p{L}\p{N}]+"), "removed")
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    letters = list("abcdefghijklmnopqrstuvwxyz0123456789")
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["[pad]", "[unk]"],
        initial_alphabet=letters,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator([*sentences, *letters], trainer)
    tokenizer.enable_padding(pad_id=PAD, pad_token="[pad]", length=CONTEXT)  # noqa: S106
    tokenizer.enable_truncation(CONTEXT)
    return tokenizer
