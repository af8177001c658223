"""The functions of an exported model: raw text in, answers out.

sentiment (texts (b,) string):
    serving_default     text -> label (b,) string, probability (b,) float32 of positive, classes
                        and scores (b, 2)
    serving_examples    serialized tf.Examples -> the same
    classify            serialized tf.Examples -> classes and scores, for the Classify API
    embed               text -> embedding (b, width), the pooled features that the head sees
next token:
    serving_default     text, and settings of generation that may be left out -> text (b,), its
                        continuation, log_probability (b,) in nats, tokens (b,)
    score               text -> bits, characters, tokens, correct, each (b,)
    score_examples      serialized tf.Examples -> the same
    score_stream        a part of a document that goes on: text, ends_line, last_token, conv,
                        ssm -> the same, and last_token, conv and ssm for the next part
    embed               text -> embedding (b, d_model), of the last token

Rows come first in every input and output and do not influence each other. What breaks a limit
(config.ExportConfig) gives INVALID_ARGUMENT and says which; an empty batch gives empty outputs.
No function is compiled by XLA, as TensorFlow Serving runs none by default, and none calls Python.
"""
