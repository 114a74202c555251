"""The authors' PyTorch fusions, run from checkouts of their repositories.

None of their code is here. A checkout is known by its files:

- github.com/yaohungt/Multimodal-Transformer: MulT;
- github.com/Justin1904/Low-rank-Multimodal-Fusion: LMF;
- github.com/Justin1904/TensorFusionNetworks: TFN;
- github.com/pliang279/MultiBench: its own MulT, which has pairs of a modality with
  itself too.

The sizes are those of our layers. LMF and TFN get means over time and, TFN, linear
projections of them in the place of the authors' networks for each modality, so that
both sides compute the same.
"""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

RATE = 0.01  # Of gradient descent.
# What to look for in a checkout: (name, fusion, file, what the file has).
KNOWN = (
    ("original MulT", "mult", "src/models.py", "class MULTModel"),
    ("original LMF", "lmf", "model.py", "class LMF"),
    ("original TFN", "tfn", "model.py", "class TFN"),
    ("MultiBench MulT", "mult", "fusions/mult.py", "class MULTModel"),
)


def find(checkouts):
    """`{fusion: [(name, path)]}` of what checkouts have."""
    found = {}
    for checkout in checkouts:
        here = []
        for name, fusion, file, text in KNOWN:
            path = Path(checkout, file)
            if path.is_file() and text in path.read_text(encoding="utf-8"):
                here.append((fusion, (name, str(Path(checkout).resolve()))))
        if not here:
            names = [f"{file} with `{text}`" for _, _, file, text in KNOWN]
            raise ValueError(
                "A checkout of a fusion has one of the files "
                f"{', '.join(names)}. Received: {checkout}"
            )
        for fusion, what in here:
            found.setdefault(fusion, []).append(what)
    return found


def calls(name, path, streams, dim, layer):
    """`(number of parameters, {"forward": …, "step": …})`.

    Args:
        layer: dict. The config of our layer, and `widths` of its projections.
    """
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    torch.manual_seed(0)
    sys.path.insert(0, path)
    make = {
        "original MulT": _mult,
        "original LMF": _lmf,
        "original TFN": _tfn,
        "MultiBench MulT": _multibench,
    }[name]
    streams = [torch.from_numpy(x) for x in streams]
    model = make([x.shape[2] for x in streams], dim, layer)
    variables = [p for p in model.parameters() if p.requires_grad]
    descent = torch.optim.SGD(variables, RATE)

    def run():
        output = model(streams) if name == "MultiBench MulT" else model(*streams)
        return output[0] if isinstance(output, tuple) else output

    def forward():
        model.eval()
        with torch.no_grad():
            return run().numpy()

    def step():
        model.train()
        descent.zero_grad()
        loss = run().square().mean()
        loss.backward()
        descent.step()
        return loss.detach().numpy()

    count = sum(variable.numel() for variable in variables)
    return count, {"forward": forward, "step": step}


def _mult(features, dim, layer):
    from modules import position_embedding
    from src.models import MULTModel

    # A `view` there fails on torch 1.5 and newer where positions are not contiguous.
    positions = position_embedding.make_positions
    position_embedding.make_positions = lambda *args: positions(*args).contiguous()
    parts = ("attn", "attn_dropout_a", "attn_dropout_v", "relu", "res", "out", "embed")
    rates = {p if "dropout" in p else f"{p}_dropout": 0.0 for p in parts}
    sizes = dict(zip(("orig_d_l", "orig_d_a", "orig_d_v"), features, strict=True))
    return MULTModel(
        SimpleNamespace(
            **sizes,
            **rates,
            vonly=True,
            aonly=True,
            lonly=True,
            num_heads=layer["num_heads"],
            layers=layer["num_layers"],
            attn_mask=layer["causal"],
            output_dim=dim,
        )
    )


def _multibench(features, dim, layer):
    from fusions.mult import MULTModel

    class Sizes(MULTModel.DefaultHyperParams):
        num_heads = layer["num_heads"]
        layers = layer["num_layers"]
        embed_dim = layer["stream_dim"]
        attn_mask = layer["causal"]
        attn_dropout = relu_dropout = res_dropout = embed_dropout = 0.0
        output_dim = dim
        all_steps = True

    return MULTModel(len(features), features, Sizes)


def _pooled(width=None, features=None):
    """Means over time, and a projection of them."""
    from torch import nn

    class Mean(nn.Module):
        def forward(self, x):
            return x.mean(1)

    if width is None:
        return Mean()
    return nn.Sequential(Mean(), nn.Linear(features, width))


def _lmf(features, dim, layer):
    from model import LMF

    audio, video, text = features
    model = LMF(
        features, (audio, video, text), text, (0.0,) * 4, dim, rank=layer["rank"]
    )
    for name in ("audio_subnet", "video_subnet", "text_subnet"):
        setattr(model, name, _pooled())
    return model


def _tfn(features, dim, layer):
    from model import TFN
    from torch import nn

    widths = layer["widths"]
    model = TFN(features, widths, widths[2], (0.0,) * 4, dim)
    names = ("audio_subnet", "video_subnet", "text_subnet")
    for name, size, width in zip(names, features, widths, strict=True):
        setattr(model, name, _pooled(width if width < size else None, size))
    # Ours ends with the first of the three layers that follow the fusion.
    model.post_fusion_layer_2 = model.post_fusion_layer_3 = nn.Identity()
    return model
