"""What there is to know about a set of reviews, as a small table."""

from pathlib import Path

import numpy as np

from combgrad.data.reviews.datamodule import Reviews
from combgrad.data.reviews.vocabulary import SPECIAL


def summary(data: Reviews) -> str:
    """The files of the original with their checksums, and the counts of reviews and words.

    Reads the files where the cache does not have them yet; raises DataFileError.
    """
    lines = [f"{digest}  {Path(path).name}" for path, digest in data.checksums().items()]
    everything = data.encoded()
    train, annotated = everything.train, everything.annotated
    marked = 0 if annotated is None else len(annotated.lengths)
    vectors = np.any(everything.embeddings[len(SPECIAL) :], axis=1)
    long = np.mean(train.lengths > data.length)
    rows = {
        "reviews": f"{len(train.lengths):,} for training, {len(everything.heldout.lengths):,} "
        f"held out, {marked:,} annotated for {data.aspect}",
        "words": f"{len(vectors):,}, {np.mean(vectors):.1%} of them with a vector of "
        f"{everything.embeddings.shape[1]} numbers",
        "length": f"{np.mean(train.lengths):.1f} words on average, {long:.1%} longer than "
        f"{data.length}",
    }
    return "\n".join([*lines, "", *(f"{name:<9}{text}" for name, text in rows.items())])
