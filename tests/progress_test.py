from __future__ import annotations

from drnet_tf import progress


def test_short_work_shows_nothing(capsys):
    bar = progress.DelayedBar(2, "image")
    bar.update(1)
    bar.update(2)
    bar.close()
    assert capsys.readouterr().out == ""


def test_long_work_shows_a_bar(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    bar = progress.DelayedBar(3, "image", quiet_seconds=5.0)
    now[0] = 104.9
    bar.update(1)
    assert capsys.readouterr().out == ""
    now[0] = 105.0
    bar.update(2)
    bar.update(3)
    assert "3/3" in capsys.readouterr().out


def test_unknown_length(capsys):
    bar = progress.DelayedBar(None, "image", quiet_seconds=0.0)
    bar.update(7)
    bar.update(8)
    bar.close()
    text = capsys.readouterr().out
    assert "7/Unknown" in text
    assert text.endswith("\n")


def test_a_full_bar_ends_its_line_once(capsys):
    bar = progress.DelayedBar(2, "image", quiet_seconds=0.0)
    bar.update(2)
    bar.close()
    assert capsys.readouterr().out.count("\n") == 1


def test_a_log_is_not_filled(capsys):
    bar = progress.DelayedBar(1000, "image", quiet_seconds=0.0)
    for done in range(1, 1001):
        bar.update(done)
    text = capsys.readouterr().out
    assert text.count("/1000") == 2  # the first, and the last
