"""What pre-training and fine-tuning tasks share: precision, seeds, iterators, what a checkpoint holds."""

import contextlib
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import Any, List, Optional

import torch
from fairseq.criterions import CRITERION_REGISTRY
from fairseq.data import FairseqDataset
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.logging import metrics
from fairseq.models import ARCH_MODEL_REGISTRY, MODEL_REGISTRY
from fairseq.optim.amp_optimizer import AMPOptimizer
from fairseq.tasks import FairseqTask
from omegaconf import II

import fairseq_xalign.optimizers.adamw  # registers --optimizer adamw
import fairseq_xalign.optimizers.muon  # noqa: F401  (registers --optimizer muon)
from fairseq_xalign import compat
from fairseq_xalign.constants import CHECKPOINT_FORMAT
from fairseq_xalign.data.batching import Budget
from fairseq_xalign.data.iterator import APART, BatchIterator, ValidationIterator
from fairseq_xalign.data.sampling import Shares, shares_in
from fairseq_xalign.data.windows import Planner, one_pass
from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.models.compiled import AUTO, OFF
from fairseq_xalign.models.config import FULL, HALF
from fairseq_xalign.objectives.random import name_key
from fairseq_xalign.optimizers.clipping import CLIP_MODES, GLOBAL, call_before_clipping, check_clip_mode, set_clip_mode
from fairseq_xalign.options import at_least
from fairseq_xalign.tasks.resume import start_checkpoint
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

compat.apply()
VALIDATION_CHUNK = 4096
"""How many units of validation are sorted by length together."""


@dataclass
class TrainingConfig(FairseqDataclass):
    """Options that all our tasks share."""

    data: str = field(
        default="",
        metadata={
            "help": "data folder made by xalign-preprocess binarize or benchmark; pre-training and translation read "
            "several, separated by colons, as one"
        },
    )
    autocast: ChoiceEnum(("none", "bf16")) = field(  # type: ignore[valid-type]
        default="none",
        metadata={
            "help": "mixed precision on CPU or GPU: bf16 computes in bfloat16 and keeps weights in float32 (default: "
            "none; fairseq's --bf16 needs a GPU)"
        },
    )
    updates_per_epoch: Optional[int] = field(
        default=None,
        metadata={
            "help": "number of updates per epoch (default: one pass over the largest stream, which ends after 10,000 "
            "updates unless --max-epoch is given); a resumed run keeps the length that it began with"
        },
    )
    clip_mode: ChoiceEnum(CLIP_MODES) = field(  # type: ignore[valid-type]
        default=GLOBAL,
        metadata={
            "help": "what --clip-norm limits: the norm of the whole gradient (global, the default, as in fairseq), the "
            "norm of each parameter's gradient (per-tensor: MMTE, section 2.1), or the root mean square of each of "
            "Adafactor's updates (update-rms)"
        },
    )
    clip_norm: float = II("optimization.clip_norm")
    optimizer: Any = II("optimizer._name")
    seed: int = II("common.seed")
    update_freq: List[int] = II("optimization.update_freq")
    max_epoch: int = II("optimization.max_epoch")
    amp: bool = II("common.amp")
    cpu: bool = II("common.cpu")
    finetune_from_model: Optional[str] = II("checkpoint.finetune_from_model")
    save_dir: str = II("checkpoint.save_dir")
    train_subset: str = II("dataset.train_subset")
    valid_subset: str = II("dataset.valid_subset")
    disable_validation: bool = II("dataset.disable_validation")
    max_tokens: Optional[int] = II("dataset.max_tokens")
    best_checkpoint_metric: str = II("checkpoint.best_checkpoint_metric")
    restore_file: str = II("checkpoint.restore_file")
    continue_once: Optional[str] = II("checkpoint.continue_once")
    reset_optimizer: bool = II("checkpoint.reset_optimizer")
    reset_dataloader: bool = II("checkpoint.reset_dataloader")


def _log_clipped(share: torch.Tensor) -> None:
    """Log the share of tensors whose gradient was clipped, in per cent."""
    metrics.log_scalar("clipped_tensors", 100 * share, priority=510, round=1)


class StreamDataset(FairseqDataset):
    """What fairseq keeps as the dataset of a split: its streams, and the iterators made for them."""

    def __init__(self, streams: list[Any], split: str) -> None:
        self.streams, self.split = streams, split
        self.iterators: dict[Any, Any] = {}

    def __len__(self) -> int:
        return sum(len(s) for s in self.streams)


class TrainingTask(FairseqTask, ABC):
    """Base of our tasks.

    Attributes:
        tokenizer: fixes the vocabulary.
        languages: names in the order of language embeddings; new ones append.
        start_encoder: the encoder's fields in the checkpoint that training starts from, or None.
        trains_lm_head: whether the head of masked language modelling is trained.
        compiles: whether ``--compile auto`` compiles, where there is a GPU.
        criterion_class: what its criterions are; fairseq's own know nothing of our batches.
    """

    tokenizer: Tokenizer
    languages: list[str]
    criterion_class: type[Any]
    trains_lm_head = False
    compiles = True

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        at_least(1, updates_per_epoch=cfg.updates_per_epoch, update_freq=cfg.update_freq)
        check_clip_mode(str(cfg.clip_mode), cfg.clip_norm, str(cfg.optimizer))
        compat.suggest_autocast(str(cfg.autocast) != "none")
        self.start = start_checkpoint(cfg)
        self.start_encoder: dict[str, Any] | None = self.start["encoder"] if self.start else None
        self.encoder_config: Any = None
        self.criterion: Any = None
        self._iterating: Any = None

    # -- what a checkpoint holds -------------------------------------------------------------

    def checkpoint_fields(self) -> dict[str, Any]:
        """Return further fields of ``task_state``; plain values only."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {
            "format": CHECKPOINT_FORMAT,
            "encoder": asdict(self.encoder_config),
            "languages": list(self.languages),
            "tokenizer": self.tokenizer.state(),
            **self._foreign(),
            **self.checkpoint_fields(),
        }

    def _foreign(self) -> dict[str, Any]:
        """What leads back to the format of the model that training began with, if that came from elsewhere."""
        found = dict((self.start or {}).get("foreign") or {})
        if found and self.trains_lm_head:
            found["fresh"] = []
        return {"foreign": found} if found else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore nothing: fairseq calls this when it loads a model, and the task has what it needs."""

    def check_vocabulary(self, where: str) -> None:
        """Refuse a checkpoint whose vocabulary differs from that of ``self.tokenizer``."""
        if self.start is None:
            return
        other = Tokenizer.from_state(self.start["tokenizer"])
        if other.sha256 != self.tokenizer.sha256:
            raise UserError(
                f"its vocabulary ({len(self.tokenizer)} symbols, {self.tokenizer.sha256[:12]}) is not that of the "
                f"checkpoint {self.start['path']} ({len(other)} symbols, {other.sha256[:12]})",
                where,
                remedy="Binarize with the subword folder that the checkpoint was trained with",
            )

    # -- data ------------------------------------------------------------------------------------

    @property
    def language_numbers(self) -> dict[str, int]:
        """The row of each language's embedding; 0 is no language."""
        return {name: i for i, name in enumerate(self.languages, start=1)}

    @abstractmethod
    def collater_for(self, streams: list[Any], split: str) -> Any:
        """Return what builds samples of the streams of a split."""

    @abstractmethod
    def shares(self, streams: list[Any]) -> Shares:
        """Return the probability of each stream in training, float64 [streams], or a function of a window's number."""

    @abstractmethod
    def window(self, streams: list[Any]) -> int:
        """Return how many draws are sorted by length together."""

    asked_window: int | None = None
    """Draws that were asked to be sorted by length together, where :meth:`window` may be fewer."""
    repeats_apart = False
    """Whether what a window draws again is put into other batches than what it repeats."""

    @property
    def every_kind(self) -> bool:
        """Whether every training batch must hold its share of every kind of stream."""
        return False

    def check_batch_size(self, batch_size: int | None, streams: list[Any], shares: Shares) -> None:
        """Refuse a ``--batch-size`` that training can learn nothing from."""

    def order_settings(self) -> dict[str, Any]:
        """Return further settings that the order of draws depends on, by option."""
        return {}

    def get_batch_iterator(
        self, dataset: Any, max_tokens: int | None = None, max_sentences: int | None = None, seed: int = 1,
        num_shards: int = 1, shard_id: int = 0, num_workers: int = 0, epoch: int = 1, data_buffer_size: int = 0,
        **options: Any,
    ) -> Any:  # fmt: skip
        """Return the one iterator of a dataset for this use; fairseq asks again at every epoch."""
        at_least(0, num_workers=num_workers)
        training = self.for_training(options)
        key = (training, max_tokens, max_sentences, num_shards, shard_id, num_workers)
        if key not in dataset.iterators:
            streams, cfg = dataset.streams, self.cfg
            own = not training and max_tokens != cfg.max_tokens
            budget = Budget(max_tokens, max_sentences, "--max-tokens-valid" if own else "--max-tokens")
            collater = self.collater_for(streams, dataset.split)
            if training:
                self.check_best_metric()
                shares, window = self.shares(streams), self.window(streams)
                self.check_batch_size(max_sentences, streams, shares)
                fingerprint = {
                    "streams": [[s.name, len(s)] for s in streams],
                    "shares": [round(float(p), 9) for p in shares_in(shares, 0)],
                    "window": window,
                    "--seed": cfg.seed,
                    "--max-tokens": max_tokens,
                    "--batch-size": max_sentences,
                    "--updates-per-epoch": cfg.updates_per_epoch,
                    **self.order_settings(),
                    **({APART: True} if self.repeats_apart else {}),
                }
                planner = Planner(
                    streams, shares, window, budget, cfg.seed, self.every_kind, self.repeats_apart, self.asked_window
                )
                dataset.iterators[key] = BatchIterator(
                    planner, collater, fingerprint, shard_id, num_shards, cfg.update_freq, cfg.updates_per_epoch,
                    num_workers, data_buffer_size, epoch, whole_passes=bool(cfg.max_epoch),
                    pinned=torch.cuda.is_available() and not cfg.cpu,
                )  # fmt: skip
            else:
                windows = one_pass(streams, budget, cfg.seed, VALIDATION_CHUNK)
                dataset.iterators[key] = ValidationIterator(windows, collater, shard_id, num_shards)
        return dataset.iterators[key]

    # -- training ------------------------------------------------------------------------------

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        self._check_arch(getattr(cfg, "_name", None))
        half = getattr(cfg, "residual_precision", FULL) == HALF and not from_checkpoint
        if half and str(self.cfg.autocast) == "none" and not self.cfg.amp:
            raise UserError(
                f"--residual-precision {HALF} changes nothing without mixed precision",
                remedy="Add --autocast bf16, or leave it out",
            )
        model = super().build_model(cfg, from_checkpoint)
        self.encoder_config = model.encoder.config
        if model.encoder.compiling == AUTO and not self.compiles:
            model.encoder.compiling = OFF
        return model

    def _check_arch(self, arch: str | None) -> None:
        """Refuse an architecture of fairseq's own, and none at all."""
        package = __name__.partition(".")[0]
        models = {**MODEL_REGISTRY, **ARCH_MODEL_REGISTRY}
        ours = [n for n, m in models.items() if any(c.__module__.partition(".")[0] == package for c in m.__mro__)]
        if arch not in ours:
            problem = f"--arch {arch} does not work with --task {self.cfg._name}" if arch else "no --arch is given"
            raise UserError(problem, remedy=f"Choose from {', '.join(sorted({*ours} & {*ARCH_MODEL_REGISTRY}))}")

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        ours = [name for name, kind in CRITERION_REGISTRY.items() if issubclass(kind, self.criterion_class)]
        if cfg._name not in ours:
            raise UserError(
                f"--criterion {cfg._name} does not work with --task {self.cfg._name}",
                remedy=f"Choose from {', '.join(sorted(ours))}",
            )
        criterion = self.criterion = super().build_criterion(cfg, from_checkpoint)
        if self.start and self.start["criterion_name"] not in (None, criterion.__class__.__name__):
            raise UserError(
                f"it was trained with {self.start['criterion_name']}, but this run has {criterion.__class__.__name__}",
                self.start["path"],
                remedy="Resume with its --criterion, choose another --save-dir, or add --reset-optimizer",
            )
        return criterion

    def has_sharded_data(self, split: str) -> bool:
        """Shards are one concatenation, so fairseq must not swap them by epoch."""
        return False

    def _precision(self, model: torch.nn.Module, optimizer: Any = None) -> Any:
        if isinstance(optimizer, AMPOptimizer):  # --amp, which check_precision refuses on a CPU
            return torch.autocast("cuda", dtype=torch.float16)
        if str(self.cfg.autocast) == "none":
            return contextlib.nullcontext()
        return torch.autocast(next(model.parameters()).device.type, dtype=torch.bfloat16)

    def train_step(
        self, sample: Any, model: Any, criterion: Any, optimizer: Any, update_num: int, ignore_grad: bool = False
    ) -> Any:
        set_clip_mode(optimizer, str(self.cfg.clip_mode), _log_clipped)
        call_before_clipping(optimizer, criterion.settle)
        model.train()
        model.set_num_updates(update_num)
        # Dropout as a function of the batch, not of the rank: the same for any number of workers.
        torch.manual_seed(name_key(self.cfg.seed, "dropout", *sample["number"]))
        with self._precision(model, optimizer):
            loss, sample_size, logs = criterion(model, sample)
        if ignore_grad:
            loss = loss * 0
        optimizer.backward(loss)
        return loss, sample_size, logs

    def valid_step(self, sample: Any, model: Any, criterion: Any) -> Any:
        model.eval()
        with torch.no_grad(), self._precision(model):
            return criterion(model, sample)

    def begin_epoch(self, epoch: int, model: Any) -> None:
        iterators = self.datasets[self.cfg.train_subset].iterators.values()
        self._iterating = next((i for i in iterators if hasattr(i, "waiting_share")), None)

    @staticmethod
    def for_training(options: dict[str, Any]) -> bool:
        """Whether fairseq asks for a training iterator: only then does it pass this option, whatever the split."""
        return "update_epoch_batch_itr" in options

    def reduce_metrics(self, logging_outputs: list[dict[str, Any]], criterion: Any) -> None:
        if not logging_outputs:
            return
        for name, priority in (("ntokens", 180), ("nsentences", 190)):
            count = sum(float(log.get(name, 0)) for log in logging_outputs)
            metrics.log_scalar({"ntokens": "wpb", "nsentences": "bsz"}[name], count, priority=priority, round=1)
            if name == "ntokens" and criterion.training:
                metrics.log_speed("wps", count, priority=90, round=1)
        criterion.__class__.reduce_metrics(logging_outputs)
        if criterion.training and hasattr(self._iterating, "waiting_share"):
            metrics.log_scalar("data_wait", self._iterating.waiting_share(), round=3)

    def validation_metrics(self, streams: list[Any]) -> list[str]:
        """Names of what validation on these streams measures: what ``--best-checkpoint-metric`` may be.

        Not the bookkeeping (``wpb``, ``bsz``, counts), which says nothing of a model.
        """
        return self.criterion.validation_metrics(streams)

    def check_best_metric(self) -> None:
        """Refuse a ``--best-checkpoint-metric`` that will not be there when the first epoch ends.

        Every validation subset is asked for it, so every one must have it.
        """
        wanted = self.cfg.best_checkpoint_metric
        for split in [] if self.cfg.disable_validation else self.cfg.valid_subset.split(","):
            names = self.validation_metrics(self.datasets[split].streams) if split in self.datasets else [wanted]
            if wanted not in names:
                raise UserError(
                    f"--best-checkpoint-metric {wanted}: no such figure is measured on {split!r}",
                    remedy=unknown_name("figure", wanted, names).remedy,
                )

    @property
    def source_dictionary(self) -> Any:
        return None

    @property
    def target_dictionary(self) -> Any:
        return None
