"""What OpenVINO makes of a model from TensorFlow, without what nobody asked for."""

import os


def keep_outputs(path, count):
    """Take the surplus outputs out of a file; `count` is how many the model has.

    OpenVINO makes an output of everything in a graph of TensorFlow that nothing else
    uses, such as the masks of the last layers. TensorFlow calls the outputs that are
    meant `Identity`, `Identity_1` and so on.
    """
    import openvino

    model = openvino.Core().read_model(str(path))
    surplus = [
        result
        for result in model.results
        if not result.get_friendly_name().startswith("Identity")
    ]
    if not surplus or len(model.results) - len(surplus) != count:
        return
    for result in surplus:
        model.remove_result(result)
    # Not onto the files that the model is still read from.
    kept = path.with_name(f"kept-{path.name}")
    openvino.serialize(model, str(kept))
    for suffix in (".xml", ".bin"):
        os.replace(kept.with_suffix(suffix), path.with_suffix(suffix))
