import keras
import numpy as np

from drnet_tf.importance import ChannelImportance
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.published_results import TABLES
from drnet_tf.reporting.survey_report import figure, tables
from drnet_tf.subtask_trials import LEAST_SQUARES, SubtaskTrials
from drnet_tf.survey import all_subtasks
from drnet_tf.table_study import CHOICES, SIZES, TableStudy, put_together

NAMES = ("a", "b", "c", "d")


def run_study(repair=False):
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
    importance = ChannelImportance(
        {"conv": random.random((4, 8))}, NAMES, "by hand"
    )
    train, test = (
        LabeledImages(
            random.normal(size=(24, 5, 5, 1)).astype("float32"),
            np.arange(24) % 4,
            NAMES,
        )
        for _ in range(2)
    )
    trials = SubtaskTrials(model, train, test, repair_images=4)
    study = TableStudy(
        model,
        importance,
        train,
        test,
        trials if repair else None,
        (LEAST_SQUARES,) if repair else (),
    )
    subtasks = {x: all_subtasks(NAMES, size) for x, size in SIZES.items()}
    plan = study.choose(
        subtasks, max_drop=0.005, kept_fractions=(0.25, 0.5, 0.9)
    )
    rule, _ = CHOICES[plan["choice"]]
    rows = [
        study.row(classes, threshold, rule)
        for name, own in subtasks.items()
        for classes, threshold in zip(
            own, plan[name]["thresholds"], strict=True
        )
    ]
    return put_together(plan, rows, study.named([("a", "b")], (0.5,)))


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
    page = tables("A network", results, TABLES[2])
    assert page.startswith("# A network")
    assert "6 pairs, test" in page and "4 triples, test" in page
    assert f"{results['pairs']['summary']['accuracy']['mean']:.2%}" in page
    assert "<svg" in figure(results)
    # No named sub-tasks: no table of them.
    assert "Named" not in tables("n", {**results, "named": []}, TABLES[2])


def test_networks_of_the_chosen_masks_are_repaired():
    results = run_study(repair=True)
    pairs = results["pairs"]
    row = pairs["rows"][0]
    assert set(row["repaired"]["accuracy"]) == {"hard", LEAST_SQUARES}
    # What prune gives is what the mask gives.
    assert row["repaired"]["accuracy"]["hard"] == row["accuracy"]
    drops = [
        x["full_accuracy"] - x["repaired"]["accuracy"][LEAST_SQUARES]
        for x in pairs["rows"]
    ]
    told = pairs["repaired"][LEAST_SQUARES]["drop"]
    assert told["mean"] == np.mean(drops)
    assert told["max"] == max(drops)
    page = tables("A network", results, TABLES[1])
    assert "drop, pruned, least squares" in page
    assert "ours, least_squares" in page
