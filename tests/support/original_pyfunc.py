"""The original design's model as MLflow serves it, rebuilt from its published recipe: TensorFlow Similarity's own index.

MLflow runs this file ("models from code"); it knows nothing of Twinset. One picture a request, base64 in, the neighbours'
pictures out as hex of their float32 bytes, without ids; the index is TensorFlow Similarity's, asked through ``lookup``.
"""

from __future__ import annotations

import base64
import io
import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import mlflow.pyfunc
import numpy as np
import pandas as pd
import tensorflow as tf
from mlflow.models import set_model
from PIL import Image
from tensorflow_similarity.models import SimilarityModel


class OriginalModel(mlflow.pyfunc.PythonModel):
    """A saved ``SimilarityModel`` with its index behind MLflow's ``predict``."""

    def load_context(self, context):
        folder = context.artifacts["tfsim_model"]
        custom = {"SimilarityModel": SimilarityModel}
        self.model = tf.keras.models.load_model(folder, custom_objects=custom, compile=False)
        self.model.load_index(folder)
        self.shape = self.model.input_shape[1:]

    def predict(self, context, model_input, params=None):
        image = Image.open(io.BytesIO(base64.b64decode(model_input["input"][0].encode())))
        pixels = np.array(image).reshape(-1, *self.shape) / 255.0
        found = self.model.lookup(pixels.astype(np.float32), k=10, verbose=0)
        answers = {rank: np.asarray(one.data, dtype=np.float32).tobytes().hex() for rank, one in enumerate(found[0])}
        return pd.DataFrame.from_dict(answers, orient="index")


set_model(OriginalModel())
