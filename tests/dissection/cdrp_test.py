import keras
import numpy as np
import pytest
from keras import ops

from drnet_tf.dissection.cdrp import CDRP, GateLearner
from drnet_tf.dissection.gates_of_images import learn_cdrps
from drnet_tf.dissection.routing import learn_gates
from drnet_tf.sites import gate_sites

# What 0, 10, 20, 25, 26, 27, 28 and 29 updates leave of a gate that sees the
# L1 term alone: x += v, v = 0.9 v - 0.1 * 0.05, from x = 1 and v = 0.
L1_PATH = {
    10: 0.793,
    20: 0.395,
    25: 0.168,
    26: 0.121,
    27: 0.074,
    28: 0.026,
    29: 0.0,
}


def small_net(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(6, 3, padding="same", name="conv1"),
            keras.layers.BatchNormalization(name="norm1"),
            keras.layers.ReLU(name="relu1"),
            keras.layers.Dropout(0.5),
            keras.layers.Conv2D(5, 3, activation="relu", name="conv2"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(
                4, kernel_initializer=keras.initializers.RandomNormal(0, 3)
            ),
        ]
    )


def images(count, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(count, 8, 8, 3)).astype("float32")


def settings(method):
    return ops.convert_to_tensor(
        [
            method.iterations,
            method.learning_rate,
            method.momentum,
            method.gamma,
            *method.clip,
        ],
        "float32",
    )


@pytest.mark.parametrize("updates", L1_PATH)
def test_gate_that_sees_only_l1_takes_the_values_worked_out_by_hand(updates):
    def deaf(gates):
        return ops.log_softmax(
            ops.stack([0 * gates[:, 0] + 1, gates[:, 0] * 0], 1)
        )

    method = CDRP(iterations=updates)
    gates, flipped, kl, iteration = learn_gates(
        deaf, ops.ones((1, 3)), settings(method), "best_iterate"
    )
    if L1_PATH[updates] == 0.0:
        np.testing.assert_array_equal(gates, np.zeros((1, 3)))
    np.testing.assert_allclose(
        gates, np.full((1, 3), L1_PATH[updates]), atol=5e-4
    )
    assert not bool(flipped[0]) and int(iteration[0]) == updates
    assert abs(float(kl[0])) < 1e-6


def test_gate_follows_momentum_sgd_worked_out_by_hand():
    """Two logits (2 λ, 0): both gradient terms, three updates, in NumPy."""

    def forward(gates):
        return ops.log_softmax(ops.stack([2 * gates[:, 0], 0 * gates[:, 0]], 1))

    def gradient(x):
        p, q = (1 / (1 + np.exp(-2 * v)) for v in (1.0, x))
        return 2 * (q - p) + 0.05

    gate, velocity = 1.0, 0.0
    for _ in range(3):
        velocity = 0.9 * velocity - 0.1 * gradient(gate)
        gate += velocity
    found, *_ = learn_gates(
        forward,
        ops.ones((1, 1)),
        settings(CDRP(iterations=3)),
        "best_iterate",
    )
    np.testing.assert_allclose(found[0, 0], gate, rtol=1e-6)


def test_batch_equals_one_image_at_a_time():
    model, x = small_net(), images(16)
    learner = GateLearner(model, CDRP(balance=4.0))
    batch = learner(x)
    assert 0 < np.mean(batch.gates["relu1"] == 0) < 1
    for row in range(16):
        alone = learner(x[row : row + 1])
        for site, gates in batch.gates.items():
            np.testing.assert_allclose(
                alone.gates[site][0], gates[row], atol=1e-5
            )
        assert alone.iteration[0] == batch.iteration[row]
        assert alone.flipped[0] == batch.flipped[row]


def flip_forward(gates):
    """The class flips from 0 to 1 as soon as the gate is below 0.5."""
    return ops.log_softmax(ops.stack([gates[:, 0], 0 * gates[:, 0] + 0.5], 1))


def learn_flipping(on_flip, gamma=0.5, iterations=30):
    method = CDRP(gamma=gamma, iterations=iterations)
    return [
        np.asarray(x)
        for x in learn_gates(
            flip_forward, ops.ones((1, 1)), settings(method), on_flip
        )
    ]


def test_best_iterate_keeps_the_last_state_before_the_flip():
    gates, flipped, kl, iteration = learn_flipping("best_iterate")
    assert flipped[0]
    assert gates[0, 0] >= 0.5 and gates[0, 0] < 1
    assert 0 < iteration[0] < 30 and kl[0] > 0
    # One more update would have flipped it.
    after, flipped, _, _ = learn_flipping("ones", iterations=iteration[0] + 1)
    assert flipped[0] and after[0, 0] == 1


@pytest.mark.parametrize("on_flip", ["ones", "exclude"])
def test_flipped_images_get_all_ones(on_flip):
    gates, flipped, kl, iteration = learn_flipping(on_flip)
    assert flipped[0] and gates[0, 0] == 1 and iteration[0] == 0 and kl[0] == 0


def test_reset_starts_again_at_the_flip():
    *_, iteration = learn_flipping("best_iterate")
    flip = int(iteration[0]) + 1
    gates, flipped, _, _ = learn_flipping("reset", iterations=flip + 1)
    assert not flipped[0] and gates[0, 0] == 1
    gates, _, _, _ = learn_flipping("reset", iterations=flip + 2)
    np.testing.assert_allclose(gates[0, 0], 0.95, rtol=1e-5)


def test_balance_keeps_the_l1_path_and_spares_more_of_the_prediction():
    model, x = small_net(), images(8)
    learner = GateLearner(model, CDRP(balance=1.0))
    weak, strong = learner(x, 1.0), learner(x, 16.0)
    assert strong.kl.mean() < weak.kl.mean()


def test_learning_is_traced_once():
    learner = GateLearner(small_net(), CDRP(iterations=2))
    learner(images(5))
    learner(images(3))
    assert learner._learn.experimental_get_tracing_count() == 1


def test_bfloat16_finds_nearly_the_same_zeros():
    model, x = small_net(), images(16)
    exact = learn_cdrps(model, x, CDRP(balance=4.0))
    rough = learn_cdrps(
        model, x, CDRP(balance=4.0, dtype_policy="mixed_bfloat16")
    )
    same = np.concatenate(
        [(exact.gates[s] > 0) == (rough.gates[s] > 0) for s in exact.gates], 1
    )
    assert rough.gates["relu1"].dtype == np.float32
    assert same.mean() > 0.9


def test_same_images_give_identical_bytes_and_leave_the_model_alone():
    model, x = small_net(), images(6)
    before = [w.copy() for w in model.get_weights()]
    first, second = (learn_cdrps(model, x) for _ in range(2))
    for site in gate_sites(model):
        assert (
            first.gates[site.name].tobytes()
            == second.gates[site.name].tobytes()
        )
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"iterations": 0}, "iterations: got 0, expected >= 1"),
        ({"momentum": 1.0}, "momentum: got 1.0, expected in"),
        ({"clip": (0.0, 0.5)}, "clip: got (0.0, 0.5), expected (low, high)"),
        ({"on_flip": "no"}, "on_flip: got 'no', expected one of"),
        ({"balance": "often"}, "balance: got 'often', expected \"auto\""),
        ({"balance": 0}, "balance: got 0"),
        ({"gamma": -1}, "gamma: got -1"),
        ({"learning_rate": 0}, "learning_rate: got 0"),
    ],
)
def test_settings_out_of_range_are_refused(arguments, text):
    with pytest.raises(ValueError, match="^CDRP: ") as error:
        CDRP(**arguments)
    assert text in str(error.value)


def test_images_with_nan_are_refused():
    x = images(2)
    x[1, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="without NaN"):
        learn_cdrps(small_net(), x)
