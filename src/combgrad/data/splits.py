"""What all data sets say of their splits: their names, their sizes, and a fingerprint."""

import hashlib

import numpy as np

SPLITS = ("train", "val", "test")


def check_size(wanted: int, available: int, split: str) -> int:
    """`wanted` again; ValueError where the split has fewer rows than that."""
    if wanted > available:
        raise ValueError(
            f"data.{'train' if split == 'train' else 'eval'}_size asks for {wanted} instances, "
            f"and the {split} split has {available}."
        )
    return wanted


def sha256_of(*parts: bytes) -> str:
    """The sha256 of bytes one after another, in hexadecimal digits."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def fingerprint(*parts: object) -> str:
    """A sha256 over arrays (their bytes) and other values (their repr)."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()
