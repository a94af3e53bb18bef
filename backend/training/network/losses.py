"""What training minimises: a loss of pairs by TensorFlow Similarity, and optionally a term on class proxies.

All pair losses compare pictures, the anchors, with every other of a batch, and are a mean over anchors. Of a batch
gathered over ranks, each rank takes its own pictures as anchors: the mean over ranks is the loss of the whole, and the
pairs are shared out. Their margins and temperatures are set for unit vectors.

The proxy term is a softmax over the cosine between an embedding and one learnt direction per class. It tells every
picture where its class is, even when the batch holds no hard pair, which is what a short training lacks most.

Sources: Wang et al., "Multi-Similarity Loss with General Pair Weighting", 2019, arXiv:1904.06627; Zhai and Wu,
"Classification is a Strong Baseline for Deep Metric Learning", 2019, arXiv:1811.12649; Schroff et al., "FaceNet", 2015,
arXiv:1503.03832; Sun et al., "Circle Loss", 2020, arXiv:2002.10857; Szubert et al., "Structure-preserving visualisation
of high dimensional single-cell datasets" (PN), 2019; Frosst et al., "Analyzing and Improving Representations with the
Soft Nearest Neighbor Loss", 2019, arXiv:1902.01889.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backend.training.runtime import loaded

if TYPE_CHECKING:
    from backend.training.config import TrainConfig

PROXY_SCALE = 16.0  # inverse temperature of the softmax
LABEL_SMOOTHING = 0.1
# A cosine distance of a half, where the multi-similarity loss turns from pulling to pushing, is 1 in both others.
_CENTRE = {"cosine": 1.0, "euclidean": 1.5, "squared-euclidean": 1.5}
_MARGIN = {"cosine": 0.2, "euclidean": 0.3, "squared-euclidean": 0.4}  # how much nearer the same class must be
_CIRCLE_MARGIN = {"cosine": 0.25, "euclidean": 0.4}
_CIRCLE_SCALE = 32.0
_ALL_WITH_ALL = {"pn", "soft_nearest_neighbour"}  # the library takes no fewer anchors
_TEMPERATURE = {"cosine": 0.1, "euclidean": 0.2, "squared-euclidean": 0.2}


class EmbeddingLoss:
    """The loss of a batch, term by term.

    Args:
        config: Says which terms there are, what they measure by, and how the proxies weigh.
        classes: Number of classes.
    """

    def __init__(self, config: TrainConfig, classes: int) -> None:
        self._tf = tf = loaded()
        self._pairs = _pair_loss(config)
        with_proxies = config.loss.endswith("+proxy")
        self._name = config.loss.removesuffix("+proxy").replace("-", "_")
        self._weight = config.proxy_weight if with_proxies else 0.0
        self._classes = classes
        self._proxies = None
        if self._weight:
            start = np.random.default_rng(config.seed).standard_normal((classes, config.learnt_size))
            self._proxies = tf.Variable(start.astype(np.float32), name="proxies")

    @property
    def variables(self) -> list[Any]:
        """What the loss itself learns: the proxies, if there are any."""
        return [] if self._proxies is None else [self._proxies]

    def terms(self, labels: Any, embeddings: Any, anchors: Any = None) -> dict[str, Any]:
        """Return the weighted terms, whose sum is the loss.

        Args:
            labels: Class numbers, int32 (B,).
            embeddings: Unit vectors, float32 (B, D).
            anchors: How many of them, from the first on, are compared with all; all if left out.
        """
        terms = {self._name: self._pair_term(labels, embeddings, anchors)}
        if self._proxies is not None:
            terms["proxy"] = self._weight * self._proxy_term(labels[:anchors], embeddings[:anchors])
        return terms

    def _pair_term(self, labels: Any, embeddings: Any, anchors: Any) -> Any:
        if self._name in _ALL_WITH_ALL:
            return self._pairs(labels, embeddings)
        options = {key: value for key, value in self._pairs.get_config().items() if key not in {"name", "reduction"}}
        return self._tf.reduce_mean(
            self._pairs.fn(labels[:anchors], embeddings[:anchors], labels, embeddings, **options)
        )

    def _proxy_term(self, labels: Any, embeddings: Any) -> Any:
        tf = self._tf
        directions = tf.math.l2_normalize(self._proxies, axis=1)
        logits = PROXY_SCALE * tf.matmul(embeddings, directions, transpose_b=True)  # (B, classes)
        wanted = tf.one_hot(labels, self._classes) * (1.0 - LABEL_SMOOTHING) + LABEL_SMOOTHING / self._classes
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, logits))


def _pair_loss(config: TrainConfig) -> Any:
    """Build TensorFlow Similarity's loss: class numbers (B,) and unit vectors (B, D) to a number."""
    loaded()  # or this would import TensorFlow
    from tensorflow_similarity import losses

    by = config.distance
    distance = by.replace("-", "_")
    match config.loss:
        case "triplet":
            return losses.TripletLoss(distance=distance, margin=_MARGIN[by])
        case "pn":
            # Against its hardest positives, a network that tells nothing apart yet has no way down.
            mining = {"positive_mining_strategy": "easy", "negative_mining_strategy": "hard"}
            return losses.PNLoss(distance=distance, margin=_MARGIN[by], **mining)
        case "circle":
            return losses.CircleLoss(distance=distance, gamma=_CIRCLE_SCALE, margin=_CIRCLE_MARGIN[by])
        case "soft-nearest-neighbour":
            return losses.SoftNearestNeighborLoss(distance=distance, temperature=_TEMPERATURE[by])
        case _:
            return losses.MultiSimilarityLoss(distance=distance, center=_CENTRE[by])
