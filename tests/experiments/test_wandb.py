"""What a run leaves with its loggers, read back from their files; no account, no network."""

import csv
import json
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import combgrad.runs.run
from combgrad.results.identity import signature
from combgrad.runs.configuration import compose
from combgrad.runs.run import run

pb = pytest.importorskip("wandb.proto.wandb_internal_pb2")

JOB = ["experiment=tsp5", "margin=noise", "margin.alpha=0.2", "profile=smoke"]


def job(root, *overrides):
    return compose([*JOB, f"paths.root={root}", *overrides])


@dataclass
class Log:
    """All that one offline run would send."""

    folder: Path
    run: object = None
    exit_code: int | None = None
    config: dict = field(default_factory=dict)
    summary: dict = field(default_factory=dict)
    steps: dict = field(default_factory=dict)
    rows: list = field(default_factory=list)

    def having(self, name):
        return [row for row in self.rows if name in row]


def messages(path):
    """The protocol messages of a run's file: a LevelDB log of blocks after a header of 7 bytes."""
    block, header = 32768, 7
    content = path.read_bytes()
    at, message = header, b""
    while at + header <= len(content):
        room = block - at % block
        if room < header:
            at += room
            continue
        _, size, kind = struct.unpack_from("<IHB", content, at)
        at += header + size
        message += content[at - size : at]
        if kind in (1, 4):  # whole, or the last part of one
            yield pb.Record.FromString(message)
            message = b""


def values(items):
    found = {}
    for item in items:
        *parents, name = list(item.nested_key) or [item.key]
        node = found
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = json.loads(item.value_json)
    return found


def read(config):
    """The one run in the output folder of a configuration."""
    (path,) = (Path(config.paths.output) / "wandb").glob("offline-run-*/run-*.wandb")
    log = Log(path.parent)
    for message in messages(path):
        match message.WhichOneof("record_type"):
            case "run":
                log.run = message.run
                log.config |= values(message.run.config.update)
            case "config":
                log.config |= values(message.config.update)
            case "summary":
                log.summary |= values(message.summary.update)
            case "metric":
                log.steps[message.metric.name or message.metric.glob_name] = (
                    message.metric.step_metric
                )
            case "history":
                log.rows.append(values(message.history.item))
            case "exit":
                log.exit_code = message.exit.exit_code
    return log


class Stopped(Exception):
    pass


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """Three jobs of one process, the second of which fails: (log, record or None) of each."""
    root = tmp_path_factory.mktemp("wandb")
    configs = [
        job(root, "logger=wandb", "seed=3", "group=table6", "trainer.max_epochs=3"),
        job(root, "logger=wandb", "seed=4", "group=table6", "pictures=false"),
        job(root, "logger=wandb", "seed=5", "pictures=false"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            patch.delenv(name)
        # Lightning changes it for good.
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        first = run(configs[0])
        with patch.context() as broken:
            broken.setattr(combgrad.runs.run, "fit", lambda *_: (_ for _ in ()).throw(Stopped))
            with pytest.raises(Stopped):
                run(configs[1])
        third = run(configs[2])
    return list(zip(map(read, configs), (first, None, third), strict=True))


def test_every_job_is_a_run_of_its_own(jobs):
    logs = [log for log, _ in jobs]
    assert len({log.run.run_id for log in logs}) == 3
    assert [log.exit_code for log in logs] == [0, 1, 0]
    assert [log.config["seed"] for log in logs] == [3, 4, 5]
    # What the third learned did not go to the run that failed.
    assert not logs[1].having("train/loss")


def test_a_run_is_named_grouped_and_tagged(jobs):
    (first, record), _, (third, _) = jobs
    assert first.run.project == "combgrad"
    assert first.run.display_name == record.name
    assert record.name == "tsp5-identity-std-noise0.2-max_epochs3-custom-seed3"
    assert (first.run.run_group, first.run.job_type) == ("table6", "train")
    assert third.run.run_group == "tsp5"
    named = {"identity", "proj-std", "margin-noise", "regenerated"}
    assert set(first.run.tags) == {*named, "custom"}
    assert set(third.run.tags) == {*named, "smoke"}


def test_the_configuration_is_that_of_the_record(jobs):
    for log, record in (jobs[0], jobs[2]):
        own = {key: value for key, value in log.config.items() if key != "_wandb"}
        asked = ("choices", "profile", "data_source", "data_fingerprint", "commit")
        assert {key: own.pop(key) for key in asked} == {key: getattr(record, key) for key in asked}
        assert own.pop("cell") == signature(record.config)[:8]
        assert own == record.config


def test_curves_are_drawn_over_epochs(jobs):
    for (log, record), epochs in ((jobs[0], 3), (jobs[2], 2)):
        assert log.steps["train/*"] == log.steps["val/*"] == "epoch"
        for name in ("train/loss", "train/cost_norm", "val/edge_accuracy"):
            rows = log.having(name)
            assert [row["epoch"] for row in rows] == list(range(epochs))
            assert [row[name] for row in rows] == pytest.approx(record.curves[name], rel=1e-5)


def test_final_numbers_are_logged_once_and_complete(jobs):
    for log, record in (jobs[0], jobs[2]):
        seconds = {f"seconds/{name}": value for name, value in record.seconds.items()}
        expected = {**record.metrics, **seconds, "best_epoch": record.best_epoch}
        assert {name: log.summary.get(name) for name in expected} == expected
        assert {"test/edge_accuracy", "last/edge_accuracy", "seconds/solver"} <= set(expected)
        for name in expected:
            assert [row[name] for row in log.having(name)] == [expected[name]]


def test_the_pictures_are_media(jobs):
    (first, _), _, (third, _) = jobs
    for picture in ("tour", "learned_globe"):
        (row,) = first.having(f"pictures/{picture}")
        media = row[f"pictures/{picture}"]
        assert media["_type"] == "images/separated"
        (name,) = media["filenames"]
        drawn = first.folder.parents[1] / f"{picture}.png"
        assert (first.folder / "files" / name).read_bytes() == drawn.read_bytes()
    assert not [name for row in third.rows for name in row if name.startswith("pictures")]


def test_a_page_of_words_is_media_too(tmp_path):
    words = ["experiment=l2x_k5", "profile=smoke", f"paths.root={tmp_path}", "logger=wandb"]
    config = compose([*words, "+data.annotated_size=100"])
    run(config)
    (row,) = read(config).having("pictures/words")
    media = row["pictures/words"]
    assert media["_type"] == "html-file"
    written = (Path(config.paths.output) / "words.html").read_bytes()
    assert (read(config).folder / "files" / media["path"]).read_bytes() == written


def test_csv_has_the_final_numbers_once(tmp_path):
    config = job(tmp_path, "logger=csv", "pictures=false")
    record = run(config)
    text = (Path(config.paths.output) / "csv" / "metrics.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    for name in ("test/edge_accuracy", "last/edge_accuracy", "seconds/train"):
        (value,) = [float(row[name]) for row in rows if row[name]]
        assert value == record.metrics.get(name, record.seconds["train"])
    assert [int(row["epoch"]) for row in rows if row["train/loss"]] == [0, 1]


def test_tensorboard_has_the_pictures_too(tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = job(tmp_path, "logger=tensorboard")
    record = run(config)
    events = reading.EventAccumulator(str(Path(config.paths.output) / "tensorboard"))
    events.Reload()
    assert {"pictures/tour", "pictures/learned_globe"} <= set(events.Tags()["images"])
    (image,) = events.Images("pictures/tour")
    assert image.encoded_image_string.startswith(b"\x89PNG")
    (scalar,) = events.Scalars("test/edge_accuracy")
    assert scalar.value == pytest.approx(record.metrics["test/edge_accuracy"])
