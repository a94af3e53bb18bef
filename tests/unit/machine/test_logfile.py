from __future__ import annotations

import os
from pathlib import Path

import pytest

from backend.machine import logfile


@pytest.mark.parametrize(
    ("content", "lines", "expected"),
    [
        (b"", 3, ""),
        (b"one\ntwo\nthree\n", 2, "two\nthree"),
        (b"one\ntwo\nthree", 2, "two\nthree"),
        (b"one\ntwo\n", 9, "one\ntwo"),
        (b"one\n\n\n", 2, "\n"),
        (b"one\n", 0, ""),
        (b" 1%\r 50%\r100%\nend\n", 2, "100%\nend"),
        (b"dos\r\nend\r\n", 2, "dos\nend"),
        ("Größe\n".encode(), 1, "Größe"),
        (b"\xff\xfe broken\n", 1, "\ufffd\ufffd broken"),
    ],
)
def test_the_last_lines(tmp_path, content, lines, expected):
    path = tmp_path / "log"
    path.write_bytes(content)
    assert logfile.tail(path, lines) == expected


def test_no_file_yet(tmp_path):
    assert logfile.tail(tmp_path / "log", 5) == ""


@pytest.mark.parametrize("lines", [1, 2, 100, 3000])
def test_any_number_of_lines_over_block_borders(tmp_path, lines):
    written = [f"line {number} {'ü' * (number % 50)}" for number in range(3000)]
    path = tmp_path / "log"
    path.write_text("\n".join(written) + "\n", encoding="utf-8")
    assert logfile.tail(path, lines).split("\n") == written[-lines:]


def test_only_the_end_of_a_huge_file_is_read(tmp_path):
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.truncate(10_000_000_000)  # sparse
        file.seek(0, 2)
        file.write(b"\nthe end\n")
    assert logfile.tail(path, 1) == "the end"
    assert len(logfile.tail(path, 2)) <= logfile.MAX_BYTES + logfile.BLOCK_BYTES


def test_a_log_is_gone_on_with(tmp_path):
    path = tmp_path / "logs" / "app.log"
    for line in (b"one\n", b"two\n"):
        with logfile.opened(path) as log:
            log.write(line)
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_log_without_room_is_no_reason_to_stop(tmp_path, caplog):
    path = tmp_path / "app.log"
    path.symlink_to("/dev/full")
    with logfile.opened(path) as log:
        assert log.name == os.devnull
        log.write(b"goes nowhere")
    assert "No space left" in caplog.text
    with logfile.opened(Path("/proc/no/app.log")) as log:  # nor one whose folder cannot be made
        assert log.name == os.devnull
