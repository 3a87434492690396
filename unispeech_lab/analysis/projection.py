"""Projection: many points of many dimensions on a plane.

    PCA     the two directions in which they differ most; the only one of the three whose distances mean something
    t-SNE   near ones stay near (van der Maaten and Hinton 2008); sizes of and gaps between clusters mean nothing
    UMAP    the same by a graph of neighbours (McInnes et al. 2018), with more of the whole kept

The latter two start from 30 principal components, and the same seed gives the same picture.

Shapes: ``m`` point, ``d`` dimension.
"""

import warnings

import numpy as np

METHODS = ("PCA", "UMAP", "t-SNE")
COMPONENTS = 30
NEIGHBOURS = 15
PERPLEXITY = 30.0
FEWEST = 30  # points: of fewer, neighbourhoods say nothing, so PCA is drawn


def project(values: np.ndarray, method: str = "PCA", seed: int = 0) -> np.ndarray:
    """Points (m, d) as places (m, 2).

    Raises:
        ValueError: a method that is not one of ``METHODS``.
    """
    if method not in METHODS:
        raise ValueError(f"expected one of the methods {', '.join(METHODS)}, found {method!r}")
    if drawn(method, len(values)) == "PCA":
        return principal(values, 2)[0]
    start = principal(values, COMPONENTS)[0].astype(np.float32)
    return (tsne if method == "t-SNE" else umap)(start, seed)


def drawn(method: str, count: int) -> str:
    """The method that is used for so many points."""
    return method if count >= FEWEST else "PCA"


def principal(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores (m, count) on the first principal components, and the share of the variance that each holds (count,).

    The sign is fixed: of each direction the greatest entry is positive. Directions that there are not hold nothing.
    """
    scores, shares = np.zeros((len(values), count)), np.zeros(count)
    if not len(values):
        return scores, shares
    centred = np.asarray(values, np.float64) - np.mean(values, 0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(-variances)[:count]
    directions, total = directions[:, order], max(float(variances.sum()), 1e-30)
    directions = directions * np.sign(directions[np.abs(directions).argmax(0), np.arange(len(order))])
    scores[:, : len(order)] = centred @ directions
    shares[: len(order)] = np.clip(variances[order], 0, None) / total
    return scores, shares


def tsne(values: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE  # slow to import, as umap is

    perplexity = min(PERPLEXITY, (len(values) - 1) / 3)
    coarse = {"max_iter": 500, "angle": 0.7}  # half the time of sklearn's own, the same clusters
    return TSNE(init="pca", perplexity=perplexity, random_state=seed, **coarse).fit_transform(values)


def umap(values: np.ndarray, seed: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a spectral start that a disconnected graph has not
        from umap import UMAP

        neighbours = min(NEIGHBOURS, len(values) - 1)
        return UMAP(n_neighbors=neighbours, n_epochs=200, init="pca", random_state=seed, n_jobs=1).fit_transform(values)
