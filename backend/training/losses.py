"""What training minimises: TensorFlow Similarity's multi-similarity loss, and optionally a term on class proxies.

The proxy term is a softmax over the cosine between an embedding and one learnt direction per class. It tells every
picture where its class lies, even when the batch holds no hard pair, which is what a short training lacks most.

Sources: Wang et al., "Multi-Similarity Loss with General Pair Weighting", 2019, arXiv:1904.06627; Zhai and Wu,
"Classification is a Strong Baseline for Deep Metric Learning", 2019, arXiv:1811.12649.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from backend.training.config import TrainConfig

PROXY_SCALE = 16.0  # inverse temperature of the softmax
LABEL_SMOOTHING = 0.1


class EmbeddingLoss:
    """The loss of a batch, term by term.

    Args:
        config: Says which terms there are and how the proxies weigh.
        classes: Number of classes.
    """

    def __init__(self, config: TrainConfig, classes: int) -> None:
        import tensorflow as tf
        from tensorflow_similarity.losses import MultiSimilarityLoss

        self._tf = tf
        self._pairs = MultiSimilarityLoss(distance="cosine")
        self._weight = config.proxy_weight if config.loss == "multi-similarity+proxy" else 0.0
        self._classes = classes
        self._proxies = None
        if self._weight:
            start = np.random.default_rng(config.seed).standard_normal((classes, config.embedding_size))
            self._proxies = tf.Variable(start.astype(np.float32), name="proxies")

    @property
    def variables(self) -> list[Any]:
        """What the loss itself learns: the proxies, if there are any."""
        return [] if self._proxies is None else [self._proxies]

    def terms(self, labels: Any, embeddings: Any) -> dict[str, Any]:
        """Return the weighted terms, whose sum is the loss.

        Args:
            labels: Class numbers, int32 (B,).
            embeddings: Unit vectors, float32 (B, D).
        """
        terms = {"multi_similarity": self._pairs(labels, embeddings)}
        if self._proxies is not None:
            terms["proxy"] = self._weight * self._proxy_term(labels, embeddings)
        return terms

    def _proxy_term(self, labels: Any, embeddings: Any) -> Any:
        tf = self._tf
        directions = tf.math.l2_normalize(self._proxies, axis=1)
        logits = PROXY_SCALE * tf.matmul(embeddings, directions, transpose_b=True)  # (B, classes)
        wanted = tf.one_hot(labels, self._classes) * (1.0 - LABEL_SMOOTHING) + LABEL_SMOOTHING / self._classes
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, logits))
