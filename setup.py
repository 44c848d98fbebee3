"""Packaging. fairseq itself is not in ``install_requires``: it names torchaudio, gigabytes that nothing here uses,
so ``make`` installs it without its dependencies, and what it does need is listed here. By hand:

    pip install -c constraints.txt . && pip install --no-deps ve-fairseq==0.12.3
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"', (HERE / "fairseq_xalign" / "__init__.py").read_text("utf-8"), re.M)[1]
README = HERE / "README.md"

FAIRSEQ_NEEDS = [
    "bitarray",
    "cffi",
    "cython",
    "hydra-core>=1.3.2",
    "numpy>=1.24",
    "omegaconf>=2.1",
    "packaging",
    "regex",
    "sacrebleu>=2.0",
    "scikit-learn",
    "torch>=2.6",
    "tqdm",
]
OURS = ["rich", "sentencepiece"]
EXTRAS = {
    "fairseq": ["ve-fairseq==0.12.3; python_version < '3.13'", "fairseq-fixed==0.12.3.1; python_version >= '3.13'"],
    "hf": ["safetensors", "tokenizers", "transformers"],
    "align": ["systran-align; python_version < '3.12'"],
    "plots": ["jinja2", "matplotlib"],
    "cluster": ["submitit"],
}
TESTS = [
    "hypothesis",
    "mypy",
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "ruff",
    "scipy",
    "seqeval",
    "setuptools",
    "tensorboard",
    "wheel",
]
EXTRAS["dev"] = sorted({name for extra in ("hf", "align", "plots", "cluster") for name in EXTRAS[extra]} | set(TESTS))

setup(
    name="fairseq_xalign",
    version=VERSION,
    description="Multilingual encoders that transfer a task to languages without labels: a fairseq plugin",
    long_description=README.read_text("utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["fairseq_xalign", "fairseq_xalign.*", "preprocess", "preprocess.*"]),
    package_data={"fairseq_xalign": ["py.typed"], "fairseq_xalign.evaluate": ["papers/*.csv"]},
    install_requires=FAIRSEQ_NEEDS + OURS,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "xalign-preprocess = preprocess.__main__:main",
            "xalign-evaluate = fairseq_xalign.evaluate.__main__:main",
        ]
    },
)
