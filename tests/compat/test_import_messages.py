"""fairseq's wish for tensorboardX is hidden where we import fairseq, and nothing else is."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

from fairseq_xalign.compat import import_messages

ROOT = Path(__file__).parents[2]
HIDDEN = """
import sys
sys.modules["tensorboardX"] = None  # as where it is not installed
"""
OPTIONS = """
from fairseq_xalign.__main__ import main
sys.argv = ["fairseq_xalign", "--options"]
main()
"""


def said(code):
    command = [sys.executable, "-c", HIDDEN + code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stderr


def test_fairseq_alone_asks_for_tensorboard():
    assert import_messages.TENSORBOARD in said("import fairseq"), "fairseq no longer says this: its filter may go"


def test_the_list_of_options_begins_without_a_wish_for_tensorboard():
    assert import_messages.TENSORBOARD not in said(OPTIONS)


def test_other_messages_of_the_task_stay(caplog):
    import_messages.silence_tensorboard()
    with caplog.at_level(logging.INFO):
        logging.getLogger(import_messages.SAID_BY).info("another message")
    assert "another message" in caplog.text
