"""Matrix products in 16 bits that work on every processor.

XLA fails on bfloat16 products above some size on CPUs with AMX ("UnimplementedError: unsupported
operand type BF16 in op dot", TensorFlow 2.16). Without a GPU, products of bfloat16 are therefore
computed in float32 and rounded, which is also what most CPUs do inside.
"""

import keras
import tensorflow as tf


def matmul(a, b, transpose_b=False):
    """tf.matmul of (..., n, k) and (..., k, m); bfloat16 is widened where there is no GPU."""
    if a.dtype != tf.bfloat16 or tf.config.list_physical_devices("GPU"):
        return tf.matmul(a, b, transpose_b=transpose_b)
    wide = tf.matmul(tf.cast(a, tf.float32), tf.cast(b, tf.float32), transpose_b=transpose_b)
    return tf.cast(wide, tf.bfloat16)


class Projection(keras.layers.Dense):
    """Dense without an activation, by `matmul`."""

    def call(self, inputs, training=None):
        y = matmul(inputs, tf.convert_to_tensor(self.kernel))
        return y if self.bias is None else y + self.bias
