import numpy as np

from lib.offline import synthetic


def test_the_numbers_are_pinned_to_the_last_bit():
    # raw PCG64 output is guaranteed by numpy; what is made of it must not change either
    assert synthetic.uniform(synthetic.bits(1, 2), 3).tolist() == [
        0.44841514333227195,
        0.4308819875443376,
        0.4199991293921922,
    ]
    assert synthetic.normal(synthetic.bits(1, 2), 2).tolist() == [
        -0.6059444503287423,
        0.12163610900347788,
    ]


def test_streams_of_other_purposes_are_other_numbers():
    assert not np.any(
        synthetic.uniform(synthetic.bits(1, 2), 50) == synthetic.uniform(synthetic.bits(1, 3), 50)
    )


def test_normal_has_mean_0_and_deviation_1():
    numbers = synthetic.normal(synthetic.bits(5, 0), 20_000)
    assert abs(numbers.mean()) < 0.03
    assert abs(numbers.std() - 1) < 0.03
    assert np.abs(numbers).max() <= 6


def test_uniform_fills_the_unit_interval():
    numbers = synthetic.uniform(synthetic.bits(5, 0), 20_000)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    np.testing.assert_allclose(np.histogram(numbers, 10, (0, 1))[0], 2000, atol=200)


def test_draw_takes_each_position_once_and_only_where_allowed():
    flags = np.array([False, True, True, False, True])
    drawn = [synthetic.draw(synthetic.bits(seed, 0), flags, 2) for seed in range(30)]
    assert all(len(set(some)) == 2 for some in drawn)
    assert set().union(*drawn) == {1, 2, 4}
    assert sorted(synthetic.draw(synthetic.bits(0, 0), flags, 9)) == [1, 2, 4]
    assert synthetic.draw(synthetic.bits(0, 0), flags, 0) == []
    assert synthetic.draw(synthetic.bits(0, 0), flags & False, 3) == []
