"""Vectors of words, learnt from the reviews themselves where none are published."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from combgrad.data.reviews.vocabulary import SPECIAL

WIDTH = 200

#: Words apart within which two count as neighbours.
WINDOW = 5

#: A word that appears less often has no vector.
RAREST = 3

#: Counts of neighbours are taken to this power, which keeps rare ones from counting too much.
SMOOTHING = 0.75


def word_vectors(ids: np.ndarray, lengths: np.ndarray, count: int) -> np.ndarray:
    """Vectors (count, 200) float32 of length 1 of words by id, from N reviews; 0 for rare ones.

    The largest singular vectors of the positive pointwise mutual information of words and their
    neighbours, times the roots of the singular values:
    max(0, log(n_ij / (n_i c_j))) with c_j = n_j^0.75 / sum n^0.75 (Levy, Goldberg and Dagan, 2015).

    Args:
        ids: of the words, review after review.
        lengths: (N,) of the reviews.
        count: V, how many ids there are.
    """
    known = np.flatnonzero(np.bincount(ids, minlength=count) >= RAREST)
    known = known[known >= len(SPECIAL)]
    vectors = np.zeros((count, WIDTH), dtype=np.float32)
    pairs = _neighbours(ids, lengths, known, count)
    if pairs.nnz:
        vectors[known] = _reduced(_information(pairs))
    return vectors


def _neighbours(
    ids: np.ndarray, lengths: np.ndarray, known: np.ndarray, count: int
) -> sparse.csr_matrix:
    """How often each known word stands near each other one, (K, K)."""
    place = np.full(count, -1)
    place[known] = np.arange(len(known))
    words, review = place[ids], np.repeat(np.arange(len(lengths)), lengths)
    total = sparse.csr_matrix((len(known), len(known)))
    for apart in range(1, WINDOW + 1):
        left, right = words[:-apart], words[apart:]
        kept = (left >= 0) & (right >= 0) & (review[:-apart] == review[apart:])
        ones = np.ones(kept.sum())
        total = total + sparse.csr_matrix((ones, (left[kept], right[kept])), shape=total.shape)
    return total + total.T


def _information(pairs: sparse.csr_matrix) -> sparse.csr_matrix:
    of_word = np.asarray(pairs.sum(axis=1)).ravel()
    smoothed = of_word**SMOOTHING
    entries = pairs.tocoo()
    share = smoothed[entries.col] / smoothed.sum()
    values = np.maximum(np.log(entries.data / (of_word[entries.row] * share)), 0)
    found = sparse.csr_matrix((values, (entries.row, entries.col)), shape=pairs.shape)
    found.eliminate_zeros()
    return found


def _reduced(matrix: sparse.csr_matrix) -> np.ndarray:
    """Rows (K, WIDTH) of length 1, zero columns where there are fewer words."""
    size = matrix.shape[0]
    if size <= WIDTH:
        left, values, _ = np.linalg.svd(matrix.toarray())
    else:
        # From a fixed start, so that the vectors are the same in every process.
        left, values, _ = svds(matrix, k=WIDTH, v0=np.ones(size), solver="arpack")
    largest = np.argsort(-values, kind="stable")
    left = left[:, largest] * np.sqrt(values[largest])
    # Of either sign, the one with which the largest entry is positive.
    extreme = left[np.abs(left).argmax(axis=0), np.arange(left.shape[1])]
    left = left * np.where(extreme < 0, -1.0, 1.0)
    left = np.pad(left, ((0, 0), (0, WIDTH - left.shape[1])))
    norms = np.linalg.norm(left, axis=1, keepdims=True)
    return left / np.where(norms > 0, norms, 1.0)
