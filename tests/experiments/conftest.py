"""What several experiments are tested for."""

import pytest


@pytest.fixture
def check_resuming(tmp_path, monkeypatch):
    """Check that a run cut off at its third epoch goes on as if it had not been.

    From the experiment's class, and a function that makes a run of a folder and words.
    """

    def check(kind, smoke, *words):
        whole = smoke(tmp_path / "whole", *words)
        start = kind.on_train_epoch_start

        def stops(self):
            if self.current_epoch == 2:
                raise RuntimeError("cut off")
            start(self)

        monkeypatch.setattr(kind, "on_train_epoch_start", stops)
        with pytest.raises(RuntimeError, match="cut off"):
            smoke(tmp_path / "cut", *words)
        monkeypatch.undo()
        rest = smoke(tmp_path / "cut", *words, "resume=true")
        assert rest.resumed_at == [2]
        assert rest.metrics == whole.metrics
        assert rest.curves["train/loss"] == whole.curves["train/loss"]

    return check
