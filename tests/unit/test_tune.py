import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pixfind.models import engines, hub, tune

GOLDEN = Path(__file__).parents[1] / "golden"
NAN = float("nan")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIXFIND_CACHE", str(tmp_path / "cache"))


def pictures(count: int) -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(3)
    return [random.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(count)]


def row(precision: str, rate: float, remark: str = "") -> tune.TuneResult:
    return tune.TuneResult(precision, "e", rate, 1.0, 1.0, 1.0, 1.0, remark)


def test_agreement_is_the_share_of_the_top_that_both_have() -> None:
    exact = np.array([[5, 4, 3, 2, 1, 0]], dtype=np.float32)
    other = np.array([[5, 0, 3, 4, 1, 2]], dtype=np.float32)

    assert 1.0 == tune.agreement(exact, exact, top=3)
    assert pytest.approx(2 / 3) == tune.agreement(exact, other, top=3)
    assert pytest.approx(0.5) == tune.agreement(exact, other, top=2)
    assert 0.0 == tune.agreement(exact, -exact, top=3)


def test_agreement_equals_sets_of_sorted_answers() -> None:
    random = np.random.default_rng(1)
    left = random.normal(size=(20, 50)).astype(np.float32)
    right = left + random.normal(size=left.shape, scale=0.3).astype(np.float32)

    expected = [len(set(np.argsort(-a)[:10]) & set(np.argsort(-b)[:10])) / 10 for a, b in zip(left, right, strict=True)]
    assert pytest.approx(np.mean(expected)) == tune.agreement(left, right)


def test_the_fastest_that_passes_is_chosen_and_the_reason_has_its_numbers() -> None:
    rows = [row("fp32", 10), row("int8", 60, "text agreement 0.700 is below 0.9"), row("bf16", 40)]

    choice = tune._choose(rows, 128, tune.Gate())

    assert "bf16" == choice.value
    assert "4.0 times as fast" in choice.reason


def test_fp32_stays_when_nothing_else_keeps_the_answers() -> None:
    rows = [row("fp32", 10), row("int8", 60, "text agreement 0.700 is below 0.9"), row("bf16", 8)]

    choice = tune._choose(rows, 128, tune.Gate())

    assert "fp32" == choice.value
    assert "int8: text agreement 0.700 is below 0.9; bf16: slower" in choice.reason


def test_a_candidate_that_could_not_be_tried_is_never_chosen() -> None:
    rows = [row("fp32", 10), tune.TuneResult("bf16", "-", NAN, NAN, NAN, NAN, NAN, "no such instructions")]

    assert "fp32" == tune._choose(rows, 128, tune.Gate()).value


def test_a_handful_of_pictures_decides_nothing() -> None:
    choice = tune._choose([row("fp32", 10), row("int8", 60)], 12, tune.Gate())

    assert "fp32" == choice.value
    assert "12 pictures: too few" in choice.reason


def test_a_gate_that_nothing_passes_leaves_fp32_and_says_why() -> None:
    files = hub.resolve(str(GOLDEN / "clip-tiny"), text=True)

    report = tune.tune(files, pictures(40), threads=1, gate=tune.Gate(mean_cosine=1.01), remember=False)

    assert "fp32" == report.choice.value
    assert "mean cosine" in report.rows[1].remark


def test_a_precision_whose_graph_cannot_be_used_is_out_and_the_others_are_compared(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN / "clip-tiny", tmp_path / "model"))
    (folder / "visual/model_int8.onnx").write_bytes(b"not a graph")

    report = tune.tune(hub.resolve(str(folder), text=True), pictures(40), threads=1, remember=False)

    assert "model_int8.onnx cannot be used" in report.rows[1].remark
    assert ["fp32", "int8", "bf16"] == [row.precision for row in report.rows[:3]]
    assert report.rows[3].precision.startswith("int8-openvino")


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs the openvino extra")
def test_a_library_that_is_too_old_is_out_and_says_which_version_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openvino.__version__", "2026.2.0-21903")
    files = hub.resolve(str(GOLDEN / "siglip2-tiny-immich-next"), text=True)

    report = tune.tune(files, pictures(40), threads=1, remember=False)

    assert "needs openvino 2026.3 or newer" in report.rows[2].remark


def test_the_choice_is_what_auto_means_afterwards() -> None:
    from pixfind.models import encoders

    files = hub.resolve(str(GOLDEN / "clip-tiny"), text=True)
    assert "fp32" == encoders.open_image_encoder(files, threads=1).precision

    report = tune.tune(files, pictures(40), threads=1, gate=tune.Gate(0.5, 0.1))

    encoder = encoders.open_image_encoder(files, threads=1)
    assert report.choice.value == encoder.precision
    assert report.choice.reason in encoder.engine.reason


def test_the_report_has_a_line_for_each_candidate_and_one_for_the_choice() -> None:
    files = hub.resolve(str(GOLDEN / "siglip2-tiny"), text=True)
    report_progress: list[str] = []

    report = tune.tune(files, pictures(33), threads=1, remember=False, progress=report_progress.append)

    assert ["fp32", "int8", "bf16", "int8-openvino"] == report_progress
    assert 6 == len(report.lines())
    assert report.lines()[-1].startswith(f"{report.choice.value}: ")


def test_a_cache_that_cannot_be_written_costs_the_memory_of_the_choice_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a-file").write_bytes(b"")
    monkeypatch.setenv("PIXFIND_CACHE", str(tmp_path / "a-file"))
    files = hub.resolve(str(GOLDEN / "clip-tiny"))
    report = tune.tune(files, pictures(40), threads=1, device="cpu")

    (int8,) = (row for row in report.rows if row.precision == "int8")
    assert "a-file" in int8.remark, "int8 has no place for its graph"
    assert report.choice.value != "int8"


def test_the_fastest_way_to_use_the_cores_is_remembered_and_reported() -> None:
    files = hub.resolve(str(GOLDEN / "clip-tiny"), text=True)

    report = tune.tune(files, pictures(40), threads=1, gate=tune.Gate(0.5, 0.1), cores=2, max_workers=2)

    fastest = report.tried[0]
    assert fastest.way.precision == report.choice.value
    split = engines.tuned_split(files.hash, report.choice.value)
    assert (2, fastest.way.workers, fastest.batch) == split
    assert None is engines.tuned_split(files.hash, "none of these")
    assert any(line.endswith("s") and "that were tried in" in line for line in report.lines())


def test_too_few_pictures_choose_no_way() -> None:
    report = tune.tune(hub.resolve(str(GOLDEN / "clip-tiny")), pictures(12), threads=1, cores=2, remember=False)

    assert () == report.tried


@pytest.mark.parametrize("split", ['{"cores": 2, "workers": 0, "batch": 8}', '{"cores": 2}', "3", '"x"', "null"])
def test_a_damaged_memory_of_a_split_is_as_none(tmp_path: Path, split: str) -> None:
    (tmp_path / "cache/tuned").mkdir(parents=True)
    (tmp_path / "cache/tuned/abc.json").write_text(f'{{"value": "int8", "reason": "fast", "split": {split}}}')

    assert None is engines.tuned_split("abc", "int8")


def test_the_fastest_precision_is_tried_first_and_those_far_behind_not_at_all() -> None:
    rows = [row("fp32", 10), row("int8", 30), row("bf16", 20), row("other", 50, "mean cosine 0.9 is below 0.99")]

    assert ["int8", "bf16"] == tune._worth_trying(rows)
