import keras
import numpy as np
import pytest
from backends import once, run
from harness import assert_close

from keras_mmfusion.layers import ATDEncoder, ResNet2DEncoder
from keras_mmfusion.metrics import retrieval_metrics
from keras_mmfusion.models import FusionRetriever, RetrievalIndex
from keras_mmfusion.models._retrieval_parts import AddNegatives
from keras_mmfusion.models.retrieval_index import nearest

COLOURS = 3


def retriever(**kwargs):
    words = keras.layers.Embedding(20, 16, mask_zero=True, name="words")
    tokens = ATDEncoder(16, num_heads=2, name="tokens")
    options = {"fusion_options": {"num_heads": 2}, "seed": 0, **kwargs}
    return FusionRetriever(
        inputs={"image": (8, 8, 3), "text": (5,)},
        encoders={
            "image": ATDEncoder(16, patch=(4, 4), num_heads=2, name="image_encoder"),
            "text": keras.Sequential([words, tokens], name="text_encoder"),
        },
        dim=16,
        embedding_dim=12,
        **options,
    )


def all_pairs():
    """Every picture of four squares in three colours, and the words for it."""
    colours = np.stack(np.meshgrid(*[range(COLOURS)] * 4), -1).reshape(-1, 4)
    image = np.zeros((len(colours), 8, 8, 3), "float32")
    for i in range(4):
        row, column = divmod(i, 2)
        square = np.eye(COLOURS, dtype="float32")[colours[:, i]]
        part = np.s_[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        image[part] = square[:, None, None]
    text = np.pad(1 + colours + COLOURS * np.arange(4), [(0, 0), (0, 1)])
    return {"image": image, "text": text.astype("int32")}


def some(x, index):
    return {name: values[index] for name, values in x.items()}


class Batches(keras.utils.PyDataset):
    """Random pairs, none twice in a batch."""

    def __init__(self, x, batches):
        super().__init__()
        self.x, self.batches = x, batches

    def __len__(self):
        return self.batches

    def __getitem__(self, number):
        rng = np.random.default_rng(number)
        return (some(self.x, rng.permutation(len(self.x["text"]))[:32]),)


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    model = retriever()
    model.compile(keras.optimizers.Adam(5e-3))
    before = model.get_weights()
    history = model.fit(Batches(all_pairs(), 60), shuffle=False, verbose=0)
    for variable, old in zip(model.weights, before, strict=True):
        if variable.trainable:
            now = keras.ops.convert_to_numpy(variable)
            assert np.any(now != old), variable.path
    assert np.isfinite(history.history["loss"]).all()
    return model


def indexes(model, x, **kwargs):
    return model.index_images(x["image"], **kwargs), model.index_texts(x["text"])


def test_it_learns_to_find(trained):
    x = all_pairs()
    images, texts = indexes(trained, x)
    chance = 5 / len(images)
    for rerank in (0, 4):
        scores, image_scores = trained.retrieval_scores(images, texts, rerank)
        found = retrieval_metrics(scores, np.arange(len(texts)), image_scores)
        assert found.text_recall[5] > 6 * chance and found.image_recall[5] > 6 * chance


def test_outputs(trained):
    x = some(all_pairs(), slice(0, 6))
    outputs = trained.predict(x, verbose=0)
    for name in ("image", "text"):
        assert outputs[name].shape == (6, 12)
        assert_close(np.linalg.norm(outputs[name], axis=1), np.ones(6))
    assert outputs["match"].shape == (6, 1)
    assert_close(trained.encode_images(x["image"]), outputs["image"])
    assert_close(trained.encode_texts(x["text"]), outputs["text"])
    assert trained.fused_features(x).shape == (6, 4, 16)
    scores = trained.attention_scores(x)
    assert scores["text → image"].shape == (6, 2, 5, 4)
    assert not scores["text → image"][:, :, 4].any()  # padding


def test_the_loss_is_the_contrastive_one(trained):
    x = some(all_pairs(), slice(0, 7))
    outputs = trained.predict(x, verbose=0)
    logits = outputs["image"].astype("float64") @ outputs["text"].T
    logits /= trained.temperature
    expected = 0.0
    for rows in (logits, logits.T):
        log_sum = np.log(np.exp(rows).sum(1))
        expected += np.mean(log_sum - np.diag(rows)) / 2
    assert_close(trained.evaluate(x, batch_size=7, verbose=0), expected, 1e-4)


def test_search_looks_again_at_the_first(trained):
    x = some(all_pairs(), slice(0, 24))
    images, texts = indexes(trained, x)
    n = len(images)
    cosines = texts.embeddings @ images.embeddings.T
    plain = trained.search(x["text"], images, k=7, rerank=0)
    for row, found in zip(cosines, plain, strict=True):
        assert_close(found.similarities, np.sort(row)[::-1][:7])
        assert_close(row[found.items], found.similarities)
    # What the fusion says of a pair is what the whole model says of it.
    again = trained.search(x["text"][3:4], images, k=6, rerank=5)[0]
    first = np.argsort(-cosines[3], kind="stable")[:6]
    pairs = {"image": x["image"][first], "text": np.repeat(x["text"][3:4], 6, 0)}
    match = trained.predict(pairs, verbose=0)["match"][:, 0]
    scores = match + cosines[3][first] / trained.temperature
    best = [scores[list(first).index(item)] for item in again.items[:5]]
    assert sorted(again.items[:5]) == sorted(first[:5]) and again.items[5] == first[5]
    # Features of the gallery are kept in half precision.
    assert_close(best, np.sort(scores[:5])[::-1], 0.05)
    assert_close(again.similarities, cosines[3][again.items])
    # The other way round, all of them, and as scores.
    everything = trained.search(x["image"][3:4], texts, k=n, rerank=n)[0]
    matrix, image_scores = trained.retrieval_scores(images, texts, rerank=n)
    assert sorted(everything.items) == list(range(n))
    assert (np.diff(matrix[3][everything.items]) < 1e-3).all()
    assert_close(matrix, image_scores, 1e-3)
    heavy = retriever(rerank_weight=0.0)
    heavy.set_weights(trained.get_weights())
    same = heavy.search(x["text"][3:4], images, k=6, rerank=5)[0]
    assert same.items.tolist() == first.tolist()


def test_queries(trained):
    x = all_pairs()
    images, texts = indexes(trained, x, names=[f"{i}.png" for i in range(81)])
    one = trained.search(x["image"][5], images, k=1)
    assert one.names == ["5.png"] and abs(one.similarities[0] - 1) < 1e-5
    assert trained.search(x["text"][:2], texts, k=1)[1].items.tolist() == [1]
    assert len(trained.search(x["text"][:1], images, k=1000)[0].names) == 81

    class Preprocessor:
        def texts(self, texts):
            return np.stack([x["text"][int(text)] for text in texts])

        def images(self, paths):
            return np.stack([x["image"][int(str(path))] for path in paths])

    other = retriever()
    with pytest.raises(ValueError, match="Without a preprocessor, texts must be"):
        other.search("4", images)
    other.preprocessor = Preprocessor()
    named = other.index_images(["3", "4"])
    assert named.names == ("3", "4")
    assert other.search("4", named).names in (["3", "4"], ["4", "3"])
    assert [f.items.size for f in other.search(["4", "5"], named)] == [2, 2]


def test_what_is_missing_has_no_vector(trained):
    x = some(all_pairs(), slice(0, 2))
    x["image"][0], x["text"][1] = np.nan, 0
    outputs = trained.predict(x, verbose=0)
    assert not outputs["image"][0].any() and not outputs["text"][1].any()
    assert outputs["image"][1].any() and outputs["text"][0].any()
    assert np.isfinite(outputs["match"]).all()


def test_saved(trained, tmp_path):
    x = some(all_pairs(), slice(0, 4))
    trained.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert again.rerank == trained.rerank and again.temperature == trained.temperature
    expected = trained.predict(x, verbose=0)
    for name, values in again.predict(x, verbose=0).items():
        assert_close(values, expected[name], 1e-6)


@once
def test_int8(trained, tmp_path):
    x = some(all_pairs(), slice(0, 4))
    expected = trained.predict(x, verbose=0)
    trained.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    again.quantize("int8")
    again.save(tmp_path / "q.keras")
    small = keras.saving.load_model(tmp_path / "q.keras", compile=False)
    quantized = run(again, x)
    for name, values in run(small, x).items():
        assert_close(values, quantized[name], 1e-6)
    assert_close(quantized["image"], expected["image"], 0.15)


def test_an_encoder_that_knows_masks_of_pixels():
    """They have another shape than the mask of what is missing."""
    resnet = ResNet2DEncoder((4, 16), name="resnet")
    pixels = keras.layers.Rescaling(2.0, -1.0, name="pixels")
    words = keras.layers.Embedding(20, 16, mask_zero=True, name="words")
    model = FusionRetriever(
        inputs={"image": (8, 8, 3), "text": (5,)},
        encoders={
            "image": keras.Sequential([pixels, resnet], name="image_encoder"),
            "text": keras.Sequential([words], name="text_encoder"),
        },
        fusion="concat",
    )
    x = some(all_pairs(), slice(0, 4))
    x["image"][0] = np.nan
    model.compile("sgd")
    assert np.isfinite(model.train_on_batch(x))
    assert not model.encode_images(x["image"])[0].any()


@pytest.mark.parametrize("fusion", ["concat", "lmf"])
def test_any_fusion(fusion):
    model = retriever(fusion=fusion, fusion_options=None)
    assert model.predict(some(all_pairs(), [0, 1]), verbose=0)["match"].shape == (2, 1)


def test_negatives_are_others_of_the_batch():
    layer = AddNegatives(seed=1)
    batch = 6
    number = np.arange(batch, dtype="float32")
    images = np.broadcast_to(number[:, None, None], (batch, 2, 1))
    texts = np.broadcast_to(number[:, None, None], (batch, 3, 1))
    masks = [np.ones((batch, 2), bool), np.tile(number[:, None] % 2 == 0, (1, 3))]
    logits = np.zeros((batch, batch), "float32")
    logits[2, 4] = 50.0  # image 2 looks like text 4
    inputs = [keras.ops.convert_to_tensor(v) for v in (images, texts, *masks, logits)]
    drawn = [keras.ops.convert_to_numpy(v) for v in layer(inputs, training=True)]
    image, text = drawn[0][:, 0, 0], drawn[1][:, 0, 0]
    assert image[:batch].tolist() == text[:batch].tolist() == number.tolist()
    assert image[batch : 2 * batch].tolist() == number.tolist()
    assert text[2 * batch :].tolist() == number.tolist()
    assert (image[batch:] != text[batch:]).all()
    assert text[batch + 2] == 4 and image[2 * batch + 4] == 2
    assert (drawn[3] == (text % 2 == 0)[:, None]).all() and drawn[2].all()
    for value, same in zip(layer(inputs, training=False), inputs, strict=False):
        assert value is same


@once
def test_index_files(tmp_path):
    vectors = np.eye(3, dtype="float32")
    index = RetrievalIndex("text", vectors, ("a", "b", "辣椒"), model=7)
    index.save(tmp_path / "i.npz")
    again = RetrievalIndex.load(tmp_path / "i.npz")
    assert again.model == 7
    assert again.names == index.names and again.features is None and len(again) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["i.npz"]
    np.savez(tmp_path / "other.npz", x=vectors)
    content = (tmp_path / "i.npz").read_bytes()
    for name, part in (("empty", b""), ("text", b"a"), ("cut", content[:200])):
        (tmp_path / f"{name}.npz").write_bytes(part)
    for name in ("other", "empty", "text", "cut"):
        with pytest.raises(ValueError, match=f"{name}.npz must be an index"):
            RetrievalIndex.load(tmp_path / f"{name}.npz")
    with pytest.raises(ValueError, match="as many names as items"):
        RetrievalIndex("text", vectors, ("a",))
    with pytest.raises(ValueError, match="kind='sound'"):
        RetrievalIndex("sound", vectors, ("a", "b", "c"))


@once
@pytest.mark.parametrize("k", [1, 4, 50, 80])
def test_nearest_is_a_stable_sort(k):
    rng = np.random.default_rng(0)
    gallery = rng.integers(-1, 2, (50, 3)).astype("float32")
    queries = rng.integers(-1, 2, (7, 3)).astype("float32")
    queries[0, 0] = gallery[5, 1] = np.nan  # of a model that has diverged
    items, cosines = nearest(queries, gallery, k)
    expected = queries @ gallery.T
    order = np.argsort(-expected, axis=1, kind="stable")[:, :k]
    assert (items == order).all()
    assert np.array_equal(np.take_along_axis(expected, order, 1), cosines, True)
    assert nearest(queries, gallery[:0], k)[0].shape == (7, 0)


def test_wrong_input(trained):
    x = all_pairs()
    images, texts = indexes(trained, x, features=False)
    with pytest.raises(ValueError, match=r"features=False.*rerank=0"):
        trained.search(x["text"][:1], images, rerank=5)
    with pytest.raises(ValueError, match="index of the other kind"):
        trained.search(x["text"][:1], texts, rerank=5)
    with pytest.raises(ValueError, match=r"`rerank` must be.*rerank=-1"):
        trained.search(x["text"][:1], trained.index_images(x["image"][:2]), rerank=-1)
    # Of as many images as texts, what is asked and what is found would be swapped.
    with pytest.raises(ValueError, match="one of texts and one of images"):
        trained.retrieval_scores(texts, images)
    with pytest.raises(TypeError, match=r"RetrievalIndex.*Received: ndarray"):
        trained.search(x["text"][:1], images.embeddings)
    with pytest.raises(TypeError, match=r"RetrievalIndex.*Received: str"):
        trained.retrieval_scores(images, "texts.npz")
    with pytest.raises(ValueError, match="Expected at least one image"):
        trained.index_images(x["image"][:0])
    assert trained.search(x["text"][:1], images, k=2)[0].items.shape == (2,)
    with pytest.raises(ValueError, match="`k` must be"):
        trained.search(x["text"][:1], images, k=0)
    with pytest.raises(ValueError, match=r"shape \(items, 5\)"):
        trained.encode_texts(np.zeros((2, 6), "int32"))
    with pytest.raises(ValueError, match="`query` must be a str"):
        trained.search(3, images)
    other = RetrievalIndex("image", np.eye(4, dtype="float32"), tuple("abcd"))
    with pytest.raises(ValueError, match="Make it anew"):
        trained.search(x["text"][:1], other)
    # Of as many numbers an item, but of other weights: what it found was chance.
    stranger = retriever()
    for index in (images, texts):
        with pytest.raises(ValueError, match=r"another model.*Make it anew"):
            stranger.search(x["text"][:1], index)
        with pytest.raises(ValueError, match="another model"):
            stranger.retrieval_scores(images, texts)
    stranger.quantize("int8")  # whose vectors are those of before, nearly
    stranger.search(x["text"][:1], images, rerank=0)
    with pytest.raises(ValueError, match=r"Expected a dict with the modalities"):
        trained.predict({"image": x["image"], "caption": x["text"]}, verbose=0)
    gap = {"image": x["image"], "text": np.full(x["text"].shape, np.nan)}
    with pytest.raises(ValueError, match="'text' must hold whole numbers, 0 where"):
        trained.predict(gap, verbose=0)
    with pytest.raises(ValueError, match="`inputs` must be"):
        FusionRetriever(inputs={"image": (8, 8, 3)}, encoders={"image": None})


@once
def test_weights():
    """Keras would ignore them: they are those of targets."""
    model, x = retriever(), some(all_pairs(), slice(4))
    model.compile("adam")
    with pytest.raises(ValueError, match=r"all pairs .* alike. Received: a `sample_w"):
        model.fit(x, sample_weight=np.arange(4.0), verbose=0)
    with pytest.raises(ValueError, match=r"that classify\. A FusionRetriever"):
        model.fit(x, class_weight={0: 2.0}, verbose=0)
    model.compile("adam", {"match": "binary_crossentropy"})
    y = {name: np.ones((4, 1)) for name in model.output}
    model.evaluate(x, y, sample_weight=np.arange(4.0), verbose=0)
