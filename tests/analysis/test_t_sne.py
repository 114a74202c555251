"""t-SNE: the picture, and the numbers beside it."""

import numpy as np
import pytest
from backends import once
from sklearn.metrics import silhouette_score
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from keras_mmfusion.analysis import plot_t_sne

pytestmark = once
LABELS = np.arange(60) % 3


@pytest.fixture(scope="module")
def features():
    """Three groups behind noise, and noise alone."""
    rng = np.random.default_rng(0)
    return {
        "apart": rng.normal(size=(60, 4)) + 2.5 * np.eye(3, 4)[LABELS],
        "noise": rng.normal(size=(60, 5, 4)),
    }


@pytest.fixture(scope="module")
def drawn(features):
    return plot_t_sne(features, LABELS, classes=("a", "b", "c"), perplexity=12)


def test_numbers(features, drawn):
    embeddings, scores, _ = drawn
    tables = {"apart": features["apart"], "noise": features["noise"].mean(axis=1)}
    for title, table in tables.items():
        left_out = cross_val_score(
            KNeighborsClassifier(5), table, LABELS, cv=LeaveOneOut()
        )
        found = scores[title]
        assert found["neighbour_accuracy"] == pytest.approx(left_out.mean())
        expected = silhouette_score(table, LABELS)
        assert found["silhouette"] == pytest.approx(expected)
        assert embeddings[title].shape == (60, 2)
    assert scores["apart"]["neighbour_accuracy"] > 0.8
    assert scores["noise"]["neighbour_accuracy"] < 0.6


def test_picture(drawn, tmp_path):
    embeddings, scores, figure = drawn
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0].startswith("apart\n5 neighbours ") and len(titles) == 2
    assert f"silhouette {scores['noise']['silhouette']:.2f}" in titles[1]
    points = figure.axes[0].collections[1].get_offsets()
    np.testing.assert_allclose(points, embeddings["apart"][LABELS == 1])
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["a", "b", "c"]
    figure.savefig(tmp_path / "t_sne.png", dpi=40)


def test_the_seed_decides(features, drawn):
    one = {"noise": features["noise"]}
    again, _, figure = plot_t_sne(one, LABELS, perplexity=12)
    np.testing.assert_array_equal(again["noise"], drawn[0]["noise"])
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["0", "1", "2"]


@pytest.mark.parametrize("dtype", ["float32", "bool", "uint8"])
def test_labels_of_any_numbers(features, dtype):
    one, labels = {"apart": features["apart"]}, LABELS > 0
    expected = plot_t_sne(one, labels.astype("int64"), perplexity=12)[1]
    assert plot_t_sne(one, labels.astype(dtype), perplexity=12)[1] == expected


def test_a_single_feature(features):
    embeddings, scores, _ = plot_t_sne({"one": LABELS * 1.0}, LABELS, perplexity=12)
    assert embeddings["one"].shape == (60, 2)
    assert scores["one"]["neighbour_accuracy"] == 1.0


def test_errors(features):
    with pytest.raises(ValueError, match=r"rows \{'apart': 60, 'noise': 60\}"):
        plot_t_sne(features, LABELS[:50])
    with pytest.raises(ValueError, match="must be a dict"):
        plot_t_sne({}, LABELS)
    with pytest.raises(ValueError, match=r"must be a dict.* ndarray"):
        plot_t_sne(features["apart"], LABELS)
    with pytest.raises(ValueError, match="`gone` must tell samples apart"):
        plot_t_sne({"gone": np.ones((60, 4))}, LABELS)
    for labels in (np.where(LABELS > 0, np.nan, 0), LABELS - 0.5, LABELS.astype(str)):
        with pytest.raises(ValueError, match="must be whole numbers"):
            plot_t_sne(features, labels)
    with pytest.raises(ValueError, match="fewer than samples"):
        plot_t_sne(features, np.arange(60))
    with pytest.raises(ValueError, match="perplexity=60"):
        plot_t_sne(features, LABELS, perplexity=60)
    with pytest.raises(ValueError, match="name in `classes`"):
        plot_t_sne(features, LABELS, classes=("a", "b"))
    with pytest.raises(ValueError, match="at least two classes"):
        plot_t_sne(features, np.zeros(60, int))
    with pytest.raises(ValueError, match="`apart` must be finite"):
        plot_t_sne({"apart": np.full((60, 2), np.nan)}, LABELS)


def test_without_scikit_learn(features, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.manifold", None)
    with pytest.raises(ImportError, match=r"keras_mmfusion\[analysis\]"):
        plot_t_sne(features, LABELS)
