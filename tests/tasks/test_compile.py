"""``--compile``: a real run of ``fairseq-train`` with compiled parts."""

import pytest

from fairseq_xalign.models.compiled import missing_compiler
from tests.support.running import pretrain


@pytest.mark.skipif(bool(missing_compiler("cpu")), reason="torch.compile needs a C++ compiler")
def test_a_compiled_run_has_the_losses_of_another(data, tmp_path):
    losses = []
    for mode in ("on", "off"):
        options = ["--dropout", 0, "--attention-dropout", 0, "--compile", mode]
        run = pretrain(data, tmp_path / mode, "align_mlm", 4, *options)
        assert run.status == 0, run.text[-3000:]
        losses.append(run.losses())
    assert losses[0] == pytest.approx(losses[1], abs=2e-3) and len(losses[0]) == 4
