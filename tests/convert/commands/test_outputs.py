"""What the commands that write a checkpoint must not write over."""

import pytest

from fairseq_xalign.convert.__main__ import main
from tests.support.checkpoints import save, translation_state


@pytest.mark.parametrize(
    ("command", "arguments"),
    [("add-language", ["first.pt", "nl"]), ("average", ["first.pt", "second.pt"]), ("from-mnmt", ["first.pt"])],
)
def test_a_checkpoint_is_not_replaced_by_what_is_made_of_it(tmp_path, monkeypatch, capsys, command, arguments):
    monkeypatch.chdir(tmp_path)
    state = translation_state()
    for name in ("first.pt", "second.pt"):
        save(state, tmp_path / name)
    (tmp_path / "link.pt").symlink_to(tmp_path / "first.pt")
    before = (tmp_path / "first.pt").read_bytes()
    for output in ("first.pt", "link.pt"):
        assert main([command, *arguments, output]) == 1
        said = capsys.readouterr().err
        assert f"{output}: is read by this command, which would replace it. Choose another output" in said
    assert (tmp_path / "first.pt").read_bytes() == before
