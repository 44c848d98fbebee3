"""What ``fairseq-generate`` and ``fairseq-interactive`` ask of a task: plain text in, plain text out.

Text is cut by the tokenizer of the data folder, so that ids are those of training; the lines ``S-``, ``T-``, ``H-`` and
``D-`` are plain text. No sentence is lost: fairseq drops the last sentences of a file whose number is no multiple of
``--required-batch-size-multiple``, which is 1 here.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from fairseq.data import Dictionary, FairseqDataset, LanguagePairDataset
from fairseq.tasks import FairseqTask
from torch import Tensor

from fairseq_xalign.compat.generation_options import too_short
from fairseq_xalign.constants import EOS, FAIRSEQ_SPECIALS
from fairseq_xalign.data.directions import Direction, available_directions, read_direction
from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.mmap import MappedTokens
from fairseq_xalign.errors import UserError, unknown_language
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.models.xalign_generation import for_generation
from fairseq_xalign.objectives.translation import SEPARATE, SOURCE
from fairseq_xalign.options import pair_name
from fairseq_xalign.tasks.base import TrainingTask
from fairseq_xalign.tasks.scoring import choose_scorer
from fairseq_xalign.tokenizer.tokenizer import Tokenizer


class TextDictionary(Dictionary):
    """fairseq's dictionary over a tokenizer's ids, whose strings are plain text instead of pieces."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        for symbol in tokenizer.symbols()[FAIRSEQ_SPECIALS:]:
            self.add_symbol(symbol)
        assert len(self) == len(tokenizer)

    def string(self, tensor: Any, *arguments: Any, **options: Any) -> str:
        """Return the text of ids [T], or one line per row of ids [B, T]; how fairseq would join pieces is ignored."""
        if torch.is_tensor(tensor) and tensor.dim() == 2:
            return "\n".join(self.string(row) for row in tensor)
        return self.tokenizer.decode(tensor.tolist() if torch.is_tensor(tensor) else tensor)

    def encode_line(
        self, line: str, *arguments: Any, append_eos: bool = True, reverse_order: bool = False, **options: Any
    ) -> Tensor:
        """Return the ids of a plain text, int32 [T]."""
        ids = self.tokenizer.encode(line)
        ids = ids[::-1] if reverse_order else ids
        return torch.tensor([*ids, EOS] if append_eos else ids, dtype=torch.int32)


class MappedSentences(torch.utils.data.Dataset):
    """Mapped sentences as fairseq's datasets take them, with ``first`` in front of each."""

    def __init__(self, mapped: MappedTokens, first: Sequence[int] = ()) -> None:
        self.mapped, self.first = mapped, list(first)
        self.sizes = np.asarray(mapped.sizes, dtype=np.int64) + len(self.first)

    def __len__(self) -> int:
        return len(self.mapped)

    def __getitem__(self, index: int) -> Tensor:
        return torch.tensor([*self.first, *self.mapped[int(index)].tolist()])


def has_dropout(model: TranslationModel) -> bool:
    """Whether anything is dropped in training."""
    sides = (model.encoder.config, model.decoder.config)
    return any(c.dropout or c.attention_dropout or c.activation_dropout for c in sides)


class Translating(TrainingTask):
    """A task that translates one direction with fairseq's commands."""

    fairseq_commands = ("generate", "interactive")
    """The commands of fairseq that work with this task, beside train and validate."""
    folder: DataFolder
    directions: list[Direction]
    choose_scorer = staticmethod(choose_scorer)
    target_token: str
    start_decoder: dict[str, Any] | None
    _dictionary: TextDictionary | None = None
    _generation: Any = None  # the settings of generation, once a generator was built
    # lines of fairseq-interactive that were read before the newest buffer, and with it
    _lines: tuple[int, int] = (0, 0)

    @abstractmethod
    def _tag(self, language: str) -> int:
        """Return the id of ``<2language>``."""

    # -- vocabulary and text ----------------------------------------------------------------------

    @property
    def source_dictionary(self) -> TextDictionary:
        if self._dictionary is None:
            self._dictionary = TextDictionary(self.tokenizer)
        return self._dictionary

    @property
    def target_dictionary(self) -> TextDictionary:
        return self.source_dictionary

    def build_tokenizer(self, args: Any) -> None:
        self._refuse_another("--tokenizer", args)

    def build_bpe(self, args: Any) -> None:
        self._refuse_another("--bpe", args)

    @staticmethod
    def _refuse_another(option: str, args: Any) -> None:
        """Refuse a tokenizer of fairseq's: text would be cut twice."""
        name = getattr(args, "_name", args)
        if name is not None:
            raise UserError(
                f"{option} {name}: --task mnmt cuts text with the tokenizer of the data folder",
                remedy="Leave it out: plain text goes in and comes out",
            )

    # -- the direction ----------------------------------------------------------------------------

    @property
    def direction(self) -> Direction:
        """The one direction that is translated; UserError where the options leave open which one."""
        if len(self.directions) != 1:
            raise UserError(
                f"which of {len(self.directions)} directions to translate is not said",
                remedy="Add --source-lang XX --target-lang YY, for instance of "
                + ", ".join(map(pair_name, self.directions[:10])),
            )
        return self.directions[0]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Check that a checkpoint, which is about to translate or to be validated, fits this task.

        Raises:
            UserError: it cannot translate, has another vocabulary or another place of ``<2xx>``, or was never trained
                on one of the languages.
        """
        if "decoder" not in state_dict:
            raise UserError("the checkpoint has an encoder alone, which cannot translate",
                            remedy="Use a checkpoint of --task mnmt")  # fmt: skip
        other = Tokenizer.from_state(state_dict["tokenizer"])
        if other.sha256 != self.tokenizer.sha256:
            raise UserError(
                f"the checkpoint's vocabulary ({len(other)} symbols, {other.sha256[:12]}) is not that of the data "
                f"folder ({len(self.tokenizer)} symbols, {self.tokenizer.sha256[:12]})",
                remedy="Use the data folder that it was trained on, or one binarized with the same subword folder",
            )
        if state_dict["target_token"] != self.target_token:
            raise UserError(
                f"the checkpoint was trained with --target-token {state_dict['target_token']}, not {self.target_token}",
                remedy="Leave --target-token out, and translate with checkpoints that were trained alike",
            )
        known = state_dict["languages"]
        trained = [read_direction(name, "the checkpoint's directions", known) for name in state_dict["directions"]]
        sources = list(dict.fromkeys(language for direction in trained for language in direction))
        targets = list(dict.fromkeys(target for _, target in trained))
        for source, target in self.directions:
            if source not in sources:
                raise unknown_language(source, sources, option="--source-lang")
            if target not in targets:
                error = unknown_language(target, targets, option="--target-lang")
                raise UserError(f"{error.what} to the model as a target", remedy=error.remedy)
        # The model that fairseq builds next is that of this checkpoint: those of an ensemble may differ in shape.
        self.start_encoder, self.start_decoder = state_dict["encoder"], state_dict["decoder"]

    # -- sentences ---------------------------------------------------------------------------------

    def _prefix(self) -> list[int]:
        """What stands in front of every source."""
        return [self._tag(self.direction[1])] if self.target_token == SOURCE else []

    def sentences(self, split: str) -> LanguagePairDataset:
        """The pairs of a split in the direction to translate, as fairseq's dataset."""
        texts = available_directions(self.folder.bitext(split))
        if self.direction not in texts or not len(texts[self.direction][0]):
            there = ", ".join(map(pair_name, texts)) or "none for any direction"
            raise UserError(
                f"no {split} text for {pair_name(self.direction)} (it has {there})", self.folder.path,
                remedy="Choose another direction or --gen-subset, or add text with `xalign-preprocess binarize --split "
                f"{split}`",
            )  # fmt: skip
        source, target = texts[self.direction]
        first, second = MappedSentences(source, self._prefix()), MappedSentences(target)
        return self._pairs(first, first.sizes, second, second.sizes)

    def _pairs(self, source: Any, sizes: Any, target: Any = None, target_sizes: Any = None, **options: Any) -> Any:
        words = self.source_dictionary
        return LanguagePairDataset(
            source, sizes, words, target, target_sizes, words, left_pad_source=False, shuffle=False, **options
        )

    def get_interactive_tokens_and_lengths(self, lines: list[str], encode_fn: Any) -> tuple[list[Tensor], list[int]]:
        """The ids of lines of plain text, as in training, and how many each has."""
        first = self._prefix()
        self._lines = self._lines[1], self._lines[1] + len(lines)
        rows = [torch.tensor([*first, *self.tokenizer.encode(line), EOS]) for line in lines]
        return rows, [len(row) for row in rows]

    def build_dataset_for_inference(
        self, src_tokens: list[Tensor], src_lengths: list[int], **options: Any
    ) -> LanguagePairDataset:
        dataset = self._pairs(src_tokens, src_lengths, **options)
        dataset.first_line = self._lines[0] + 1
        return dataset

    @staticmethod
    def _called(dataset: Any, number: int) -> str:
        """What a sentence is called in messages: its line in the input, or its number in the output."""
        first = getattr(dataset, "first_line", None)
        return f"sentence {number}" if first is None else f"line {first + int(number)} of the input"

    def get_batch_iterator(self, dataset: Any, max_tokens: int | None = None, *further: Any, **options: Any) -> Any:
        """The iterator of training and validation, or fairseq's for sentences to translate."""
        if not isinstance(dataset, LanguagePairDataset):
            return super().get_batch_iterator(dataset, max_tokens, *further, **options)
        sizes = [int(dataset.num_tokens(i)) for i in range(len(dataset))]
        too_large = next((i for i, size in enumerate(sizes) if max_tokens is not None and size > max_tokens), None)
        if too_large is not None:
            raise UserError(
                f"{self._called(dataset, too_large)} has {sizes[too_large]} tokens and does not fit into --max-tokens "
                f"{max_tokens}",
                remedy=f"Raise --max-tokens to {max(sizes)} or more",
            )
        options["required_batch_size_multiple"] = 1
        return FairseqTask.get_batch_iterator(self, dataset, max_tokens, *further, **options)

    def filter_indices_by_size(
        self,
        indices: Any,
        dataset: FairseqDataset,
        max_positions: Any = None,
        ignore_invalid_inputs: bool = False,
    ) -> Any:
        """As fairseq does, but a sentence that is too long is an error of one line."""
        _, too_long = dataset.filter_indices_by_size(indices, max_positions)
        if len(too_long) and not ignore_invalid_inputs:
            number = min(int(i) for i in too_long)
            sizes = zip(("source", "target"), dataset.size(number), max_positions)
            name, size, limit = next(found for found in sizes if found[1] > found[2])
            raise UserError(
                f"{self._called(dataset, number)} is too long: {size} {name} tokens, at most {limit}",
                remedy=f"Raise --max-{name}-positions, split the sentence, or leave such sentences out with "
                "--skip-invalid-size-inputs-valid-test",
            )
        return super().filter_indices_by_size(indices, dataset, max_positions, ignore_invalid_inputs)

    def build_generator(self, models: Any, args: Any, **options: Any) -> Any:
        self._generation = args
        retain = bool(getattr(args, "retain_dropout", False))
        if retain and not any(has_dropout(model) for model in models):
            raise UserError(
                "--retain-dropout has no effect: the model was trained without dropout",
                remedy="Leave it out, or choose a dropout with --model-overrides \"{'dropout': 0.1}\"",
            )
        if (getattr(args, "sampling_topk", None) or -1) > len(self.target_dictionary):
            raise UserError(
                f"--sampling-topk {args.sampling_topk} exceeds the vocabulary of {len(self.target_dictionary)} symbols",
                remedy="Lower it",
            )
        adapted = for_generation(models, bool(getattr(args, "print_alignment", None)), retain)
        return super().build_generator(adapted, args, **options)

    def _check_shortest(self, generator: Any, source: Tensor) -> None:
        """Refuse ``--min-len`` where it exceeds the longest translation of a batch of sources [B, S]."""
        if not hasattr(generator, "min_len") or generator.match_source_len:
            return
        longest = min(int(generator.max_len_a * source.shape[1] + generator.max_len_b), generator.max_len - 1)
        if generator.min_len > longest:
            raise too_short(
                generator.min_len,
                f"{longest} tokens for a source of {source.shape[1]} (--max-len-a {generator.max_len_a} --max-len-b "
                f"{generator.max_len_b})",
            )

    def inference_step(
        self, generator: Any, models: Any, sample: Any, prefix_tokens: Any = None, constraints: Any = None
    ) -> Any:
        """Translate a batch; where ``<2xx>`` is encoded apart, it joins the batch here."""
        if self.target_token == SEPARATE and "net_input" in sample:
            source = sample["net_input"]["src_tokens"]
            tags = source.new_full((len(source),), self._tag(self.direction[1]))
            sample = {**sample, "net_input": {**sample["net_input"], "tags": tags}}
        if "net_input" in sample:
            self._check_shortest(generator, sample["net_input"]["src_tokens"])
        retain = bool(getattr(self._generation, "retain_dropout", False))
        adapted = for_generation(models, retain_dropout=retain)
        with self._precision(models[0]):
            return super().inference_step(generator, adapted, sample, prefix_tokens, constraints)
