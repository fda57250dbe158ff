"""Exports a model as a TensorFlow SavedModel that drops tokens per input, for any batch size and length.

The signature takes int32 input_ids, attention_mask and token_type_ids, [batch, length] each, and gives logits and (but
for a regression) probabilities, float32 [batch, labels], and lengths, float32 [batch, layers]: the tokens that each
layer ran on. TensorFlow alone loads it: tf.saved_model.load(DIR).signatures["serving_default"]. Its folder assets.extra
holds tokenizer.json, which truncates and pads, and config.json with the labels.
"""

from __future__ import annotations

from pathlib import Path

from tools.runtime.argument_parser import argument_group, flag, parse


@argument_group("export")
class ExportArguments:
    model_path: Path = flag("AdapLeR: a save_pretrained directory, or the .h5 file beside it")
    output: Path = flag("directory to write")


if __name__ == "__main__":
    ARGUMENTS = parse([ExportArguments], __doc__)  # before the imports that take seconds

import tensorflow as tf
from transformers import PreTrainedTokenizerBase

from models import TFAdapLeRForSequenceClassification
from tools.common.atomic_files import atomic_directory, require_replaceable
from tools.data.examples import INPUTS_SPEC
from tools.inference.tokenizer_file import write_tokenizer
from tools.runtime.checkpoints import load_saved, load_tokenizer, model_directory
from tools.runtime.program import run_program


def export_saved_model(arguments: ExportArguments) -> None:
    require_replaceable(arguments.output, "saved_model.pb")
    model = load_saved(arguments.model_path, converted=True)
    export(model, load_tokenizer(str(model_directory(arguments.model_path))), arguments.output)
    print(arguments.output)


def export(model: TFAdapLeRForSequenceClassification, tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    """Writes the SavedModel of a converted model, and its tokenizer; its eta_scale is the config's."""
    regression = model.config.num_labels == 1

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32, name=name) for name in INPUTS_SPEC])
    def serve(input_ids, token_type_ids, attention_mask):
        inputs = {"input_ids": input_ids, "token_type_ids": token_type_ids, "attention_mask": attention_mask}
        outputs = model(inputs, lr_mode=True)
        answers = {"logits": outputs.logits, "lengths": tf.stack(outputs.lengths, axis=1)}
        return answers if regression else answers | {"probabilities": tf.nn.softmax(outputs.logits)}

    module = tf.Module()
    module.weights = serve.get_concrete_function().variables  # not the model: Keras would save all of its layers again
    module.serve = serve
    with atomic_directory(directory) as temporary:
        tf.saved_model.save(module, str(temporary), signatures=serve)
        extra = temporary / "assets.extra"
        extra.mkdir()
        write_tokenizer(tokenizer, model.longest_input, extra)
        model.config.to_json_file(extra / "config.json")


if __name__ == "__main__":
    run_program(ARGUMENTS, export_saved_model)
