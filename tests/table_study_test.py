import keras
import numpy as np

from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.reporting.survey_report import figure, tables
from drnet_tf.table_study import CHOICES, study

NAMES = ("a", "b", "c", "d")


def run_study():
    keras.utils.set_random_seed(5)
    random = np.random.default_rng(5)
    model = keras.Sequential(
        [
            keras.Input((5, 5, 1)),
            keras.layers.Conv2D(8, 3, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(4),
        ]
    )
    scores = {"conv": random.random((4, 8))}
    data = [
        LabeledImages(
            random.normal(size=(24, 5, 5, 1)).astype("float32"),
            np.arange(24) % 4,
            NAMES,
        )
        for _ in range(2)
    ]
    return study(
        model,
        ChannelImportance(scores, NAMES, "by hand"),
        *data,
        max_drop=0.005,
        kept_fractions=(0.25, 0.5, 0.9),
        budgets=(0.5,),
        named=(("a", "b"),),
    )


def test_study_covers_every_pair_and_triple_and_the_named_budgets():
    results = run_study()
    assert set(results["choices"]) == set(CHOICES)
    assert results["choice"] in CHOICES
    assert [len(results[x]["rows"]) for x in ("pairs", "triples")] == [6, 4]
    for size in ("pairs", "triples"):
        assert results[size]["kept_fraction"] in (0.25, 0.5, 0.9)
        assert len(results[size]["curve"]) == 3
    assert {row["rule"] for row in results["named"]} == {"union", "mean"}
    assert all(row["parameters"] <= 0.5 for row in results["named"])


def test_study_is_told_in_tables_and_a_curve():
    results = run_study()
    page = tables("A network", results)
    assert page.startswith("# A network")
    assert "All 6 pairs" in page and "All 4 triples" in page
    assert f"{results['pairs']['summary']['accuracy']['mean']:.2%}" in page
    assert "<svg" in figure(results)
