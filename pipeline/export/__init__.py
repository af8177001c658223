"""Export of a trained model as a SavedModel; its signatures take raw text.

classification into n classes (texts (b,) string):
    serving_default     text -> label (b,) string, classes (b, n) string, scores (b, n) float32, the
                        classes' probabilities, and for two classes probability (b,) float32 of the
                        second
    serving_examples    serialized tf.Examples -> the same
    classify            serialized tf.Examples -> classes and scores, for the Classify API
    embed               text -> embedding (b, width), the pooled features that the head sees
next-token:
    serving_default     text, and optional settings of generation -> text (b,), the continuation,
                        log_probability (b,) in nats, tokens (b,)
    score               text -> bits, characters, tokens, correct, each (b,)
    score_examples      serialized tf.Examples -> the same
    score_stream        a part of a document: text, ends_line, last_token, conv, ssm -> the same
                        as score, and last_token, conv and ssm for the next part
    embed               text -> embedding (b, d_model) of the last token

Every input and output has rows as its first axis, and rows do not influence each other. A request
that breaks a limit (config.ExportConfig) gets INVALID_ARGUMENT, which names the limit. An empty
batch gives empty outputs. No function is compiled by XLA, because TensorFlow Serving runs none by
default, and none calls Python.
"""
