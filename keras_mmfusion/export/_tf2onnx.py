"""What tf2onnx has no translation for: `Erfc`, of which TensorFlow makes its GELU."""


def teach():
    """Register our translations where tf2onnx has none of its own."""
    import numpy as np
    import tf2onnx.tfonnx  # noqa: F401  # registers those of tf2onnx
    from tf2onnx.handler import tf_op

    opsets = tf_op.get_opsets().get("", [])
    if any("Erfc" in opset for opset in opsets):
        return

    @tf_op("Erfc")
    class Erfc:
        @classmethod
        def version_9(cls, ctx, node, **kwargs):
            """erfc(x) = 1 - erf(x)."""
            dtypes, shapes = node.output_dtypes, node.output_shapes
            one = ctx.make_const(f"{node.name}_one", np.ones((), "float32")).output[0]
            erf = ctx.make_node("Erf", node.input, dtypes=dtypes, shapes=shapes)
            ctx.remove_node(node.name)
            ctx.make_node(
                "Sub",
                [one, erf.output[0]],
                outputs=node.output,
                dtypes=dtypes,
                shapes=shapes,
            )
