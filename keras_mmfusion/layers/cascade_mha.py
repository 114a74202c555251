"""Fusion by a cascade of multi-head attention."""

from itertools import permutations

import keras
from keras import ops

from keras_mmfusion._checks import check_heads, check_positive_int, check_rate
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._alignment import resample
from keras_mmfusion.layers._cascade_stage import CascadeStage
from keras_mmfusion.layers._composite_layer import zero_where_masked
from keras_mmfusion.layers._fusion_layer import FusionLayer, alignment_of


@register()
class CascadeMHA(FusionLayer):
    """Two modalities attend to each other, what they become to the next one, and so on.

    With `Z_m` linear projections to `dim` features and `MHA` multi-head attention with
    weights of its own for each arrow,

    ```
    CI^{a→b} = MHA(query=Z_b, key=value=Z_a)                 (eq. 3, 4)
    CI^{ab}  = Conv1×1([CI^{a→b}; CI^{b→a}])                 (eq. 5)
    CI^{abc} = Conv1×1([CI^{ab→c}; CI^{c→ab}])               (eq. 6, 7)
    ```

    and so on for further modalities, in every one of the `orders`; the first two of an
    order have none among themselves. Orders that begin alike share their stages, which
    are computed once. What the orders give is concatenated and brought back to `dim`
    features by one more 1×1 convolution.

    Of the two directions, the second is resampled to the steps of the first one where
    lengths differ, and so is what an order gives that begins with another modality.
    Where one of two is missing, the other goes on as it is.

    Args:
        dim: int. Width of the output and of all projections (C of the paper).
        num_heads: int. Heads of each attention; must divide `dim`. Defaults to `4`.
        orders: `"all"`, M!/2 for M modalities; `"canonical"`, the order of the inputs;
            or a list of tuples such as `[(0, 1, 2), (1, 2, 0)]`. Defaults to `"all"`:
            three modalities have 3 orders and 6 stages, five have 60 and 130.
        block_diagonal: bool. Whether a head projects its share of the features only,
            by a C/h × C/h matrix as in eq. 3, or all of them by a full matrix as the
            text says. Defaults to `False`.
        dropout: float. Rate on attention weights. Defaults to `0.0`.
        causal: bool. Step t attends to steps up to t only; needs streams of one
            length. Defaults to `False`.
        aligned: bool or None. Whether step t of every modality is the same moment.
            Defaults to `None`: true where lengths, padding included, are equal.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: List of M ≥ 2 tensors `(batch, time_m, features_m)`.
        mask: None, or a list of M boolean masks `(batch, time_m)` or Nones.
        training: bool. Whether dropout is active.
        return_attention_scores: bool. Whether to return the weights as well.

    Input shape:
        List of tensors `(batch, time_m, features_m)`.

    Output shape:
        `(batch, time_1, dim)`. With `return_attention_scores=True` also a list of two
        tensors a stage, `(batch, num_heads, asking steps, asked steps)`: the later
        modality asking the earlier ones, and the reverse. What several have become has
        the steps of the first of them.

    Raises:
        ValueError: for fewer than two modalities, orders that are none of theirs,
            unknown feature counts, masks that do not match, or unlike lengths where
            `causal` or `aligned` forbid them.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import CascadeMHA

    shapes = [(2, 32, 16), (2, 32, 8), (2, 20, 4)]  # video, audio, text
    streams = [np.random.rand(*shape).astype("float32") for shape in shapes]
    layer = CascadeMHA(dim=24)
    assert layer(streams).shape == (2, 32, 24)
    ```

    Reference:
        Zheng et al., "Multi-channel weight-sharing autoencoder based on cascade
        multi-head attention for multimodal emotion recognition", eq. 3 to 7. The number
        of heads is not said there. Projections of the inputs, widths and lengths that
        differ, masks, and shared stages are ours.
    """

    def __init__(
        self,
        dim,
        num_heads=4,
        orders="all",
        block_diagonal=False,
        dropout=0.0,
        causal=False,
        aligned=None,
        **kwargs,
    ):
        super().__init__(dim, alignment_of(causal, aligned), **kwargs)
        check_positive_int(num_heads=num_heads)
        check_rate(dropout=dropout)
        check_heads(num_heads, dim=dim)
        self.num_heads = int(num_heads)
        if orders not in ("all", "canonical"):
            orders = [tuple(order) for order in _listed(orders)]
        self.orders = orders
        self.block_diagonal = bool(block_diagonal)
        self.dropout = dropout
        self.causal = causal

    def build(self, input_shape):
        super().build(input_shape)

        def dense(name, features):
            layer = keras.layers.Dense(
                self.dim, dtype=self.child_policy(name), name=name
            )
            layer.build((None, None, features))
            return layer

        self.projections = [
            dense(f"projection_{m}", shape[2]) for m, shape in enumerate(input_shape)
        ]
        self.stages = []
        for prefix in self._prefixes(len(input_shape)):
            name = "_".join(["stage", *map(str, prefix)])
            stage = CascadeStage(
                self.dim,
                self.num_heads,
                self.causal,
                self.dropout,
                self.block_diagonal,
                dtype=self.child_policy(name),
                name=name,
            )
            stage.build()
            self.stages.append(stage)
        count = len(self._orders_of(len(input_shape)))
        self.combination = None
        if count > 1:
            self.combination = dense("combination", count * self.dim)

    def fuse(self, streams, masks, training, with_scores):
        masks = masks or [None] * len(streams)
        projected = [
            zero_where_masked(project(x), mask)
            for project, x, mask in zip(self.projections, streams, masks, strict=True)
        ]
        fused = {
            (m,): pair for m, pair in enumerate(zip(projected, masks, strict=True))
        }
        scores = []
        prefixes = self._prefixes(len(streams))
        for prefix, stage in zip(prefixes, self.stages, strict=True):
            (first, mask), (second, other_mask) = fused[prefix[:-1]], fused[prefix[-1:]]
            alignment = self.align(first, mask, second, other_mask)
            joint, weights = stage(
                first,
                second,
                (mask, other_mask),
                alignment,
                training=training,
                with_scores=with_scores,
            )
            merged = alignment[2]
            fused[prefix] = zero_where_masked(joint, merged), merged
            scores += weights if with_scores else []
        parts = []
        for order in self._orders_of(len(streams)):
            part, mask = fused[order]
            if order[0] != 0:
                weights, covered, _ = self.align(projected[0], masks[0], part, mask)
                part = zero_where_masked(resample(part, weights), covered)
            parts.append(part)
        if self.combination is None:
            return parts[0], scores
        return self.combination(ops.concatenate(parts, axis=-1)), scores

    def check_shapes(self, input_shape):
        super().check_shapes(input_shape)
        self._orders_of(len(input_shape))

    def _orders_of(self, count):
        """Orders of `count` modalities; the first two of each rise."""
        everyone = tuple(range(count))
        if self.orders == "canonical":
            return [everyone]
        if self.orders == "all":
            return [p for p in permutations(everyone) if p[0] < p[1]]
        for order in self.orders:
            if tuple(sorted(order)) != everyone:
                raise ValueError(
                    f"Each of `orders` must name the modalities {list(everyone)} once. "
                    f"Received: {order} among orders={self.orders}"
                )
        return [(*sorted(order[:2]), *order[2:]) for order in self.orders]

    def _prefixes(self, count):
        """What the orders begin with, shorter beginnings first: one stage each."""
        orders = self._orders_of(count)
        found = [order[:size] for size in range(2, count + 1) for order in orders]
        return list(dict.fromkeys(found))

    def attention_shapes(self, input_shape):
        batch = input_shape[0][0]
        shapes = []
        for prefix in self._prefixes(len(input_shape)):
            first, second = input_shape[prefix[0]][1], input_shape[prefix[-1]][1]
            shapes += [
                (batch, self.num_heads, second, first),
                (batch, self.num_heads, first, second),
            ]
        return shapes

    def attention_names(self, names):
        found = []
        for prefix in self._prefixes(len(names)):
            first, second = " + ".join(names[m] for m in prefix[:-1]), names[prefix[-1]]
            found += [(second, first), (first, second)]
        return found

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "num_heads": self.num_heads,
                "orders": self.orders,
                "block_diagonal": self.block_diagonal,
                "dropout": self.dropout,
                "causal": self.causal,
            }
        )
        return config


def _listed(orders):
    if not isinstance(orders, (list, tuple)) or not orders:
        raise ValueError(
            '`orders` must be "all", "canonical" or a list of tuples of modalities. '
            f"Received: orders={orders!r}"
        )
    return orders
