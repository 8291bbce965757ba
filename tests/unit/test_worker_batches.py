"""What a worker does with a batch: the embedding of a picture does not depend on how many are with it."""

import numpy as np

from pixfind.models import encoders, hub
from pixfind.worker import embed


def test_the_last_picture_of_a_run_gets_the_bits_that_it_would_get_among_others() -> None:
    encoder = encoders.open_image_encoder(hub.resolve("starter", offline=True), threads=1)
    side = encoder.preprocessing.side
    waves = np.linspace(0, 40, side * side).reshape(side, side, 1)
    chance = np.random.default_rng(0)
    # Of 300 so many that some differ where each is multiplied alone.
    pictures = [(127 + 120 * np.sin(waves * chance.uniform(0.1, 2, 3))).astype(np.uint8) for _ in range(300)]

    together, _ = embed.embed(encoder, pictures)
    alone = [embed.embed(encoder, [picture])[0] for picture in pictures]

    assert [] == [place for place, row in enumerate(alone) if row.tobytes() != together[place].tobytes()]
