"""Downloads from a local server: complete, interrupted, wrong, and missing."""

import dataclasses
import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from data import download as module
from data import task_files
from data.download import download
from data.errors import DataError, UserError
from data.task_files import Address

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `content`; can stop after some bytes, or ignore ranges."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.break_off_after = None
        self.knows_ranges = True
        self.status = None
        self.ranges = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/file"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        content = self.server.content
        start = int(re.sub(r"^bytes=(\d+)-$", r"\1", asked)) if asked else 0
        if self.server.status or start >= len(content):
            self.send_error(self.server.status or 416)
            return
        partial = bool(asked) and self.server.knows_ranges
        body = content[start:] if partial else content
        self.send_response(206 if partial else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.break_off_after])

    def log_message(self, *_):
        pass


@pytest.fixture
def address_of(monkeypatch):
    """Gives a built-in task another address."""

    def give(name, address):
        find = task_files.find
        changed = dataclasses.replace(find(name), download=address)
        monkeypatch.setattr(
            task_files, "find", lambda task: changed if task == name else find(task)
        )

    return give


@pytest.fixture
def server(address_of):
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address_of("imdb", Address(server.url, "reviews.tar.gz", SHA256))
        yield server
        server.shutdown()
        thread.join()


def test_a_download_is_complete_and_not_repeated(server, tmp_path):
    file = download("imdb", tmp_path / "new")
    assert file == tmp_path / "new/reviews.tar.gz"
    assert file.read_bytes() == CONTENT
    assert download("imdb", tmp_path / "new") == file
    assert server.ranges == [None]


def test_an_interrupted_download_resumes(server, tmp_path):
    server.break_off_after = 300_000
    with pytest.raises(
        DataError, match=r"stopped after 300,000 bytes .*Run the same command again"
    ):
        download("imdb", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.tar.gz.part"]
    server.break_off_after = None
    assert download("imdb", tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.tar.gz"]


def test_a_server_without_ranges_sends_it_all_again(server, tmp_path):
    (tmp_path / "reviews.tar.gz.part").write_bytes(CONTENT[:1000])
    server.knows_ranges = False
    assert download("imdb", tmp_path).read_bytes() == CONTENT


def test_a_complete_part_is_used(server, tmp_path):
    (tmp_path / "reviews.tar.gz.part").write_bytes(CONTENT)
    assert download("imdb", tmp_path).read_bytes() == CONTENT


def test_a_wrong_hash_leaves_nothing_behind(server, tmp_path):
    server.content = CONTENT[:-1] + b"x"
    got = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(DataError, match=f"expected SHA-256 {SHA256} of {server.url}, got {got}"):
        download("imdb", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_that_differs_is_refused_and_kept(server, tmp_path):
    (tmp_path / "reviews.tar.gz").write_bytes(b"mine")
    with pytest.raises(DataError, match="Remove it, or name another folder"):
        download("imdb", tmp_path)
    assert (tmp_path / "reviews.tar.gz").read_bytes() == b"mine"
    assert server.ranges == []


def test_a_server_that_refuses_is_reported(server, tmp_path):
    server.status = 503
    with pytest.raises(DataError, match=r"the server answered 503 .*put the file at"):
        download("imdb", tmp_path)


def test_no_network_is_reported_with_what_to_do(tmp_path, address_of):
    with Server() as server:
        url = server.url  # closed before the request
    address_of("imdb", Address(url, "reviews.tar.gz", SHA256))
    with pytest.raises(DataError, match=r"Connection refused.*with a connection, or put the file"):
        download("imdb", tmp_path)


def test_the_bible_is_verified_by_its_content(server, tmp_path, address_of, gutenberg_text):
    address_of("bible", Address(server.url, "pg10.txt"))
    server.content = gutenberg_text.encode()
    assert download("bible", tmp_path / "whole").read_text("utf-8") == gutenberg_text

    server.content = server.content[:3_000_000]
    with pytest.raises(DataError, match=r"not the whole corpus: books: expected 66, got"):
        download("bible", tmp_path / "cut")
    assert list((tmp_path / "cut").iterdir()) == []


def test_an_interrupted_bible_starts_over(server, tmp_path, address_of, gutenberg_text):
    address_of("bible", Address(server.url, "pg10.txt"))
    (tmp_path / "pg10.txt.part").write_text("of another day's file")
    server.content = gutenberg_text.encode()
    assert download("bible", tmp_path).read_text("utf-8") == gutenberg_text
    assert server.ranges == [None]


def test_the_command_names_the_file_or_fails_with_one_line(server, tmp_path, capsys):
    module.main(["imdb", "--folder", str(tmp_path)])
    assert capsys.readouterr().out == f"{tmp_path / 'reviews.tar.gz'}\n"
    server.status = 404
    with pytest.raises(SystemExit, match=r"^data\.download: .*answered 404[^\n]*$"):
        module.main(["imdb", "--folder", str(tmp_path / "other")])


def test_an_unknown_task_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"koran: there is no such task; expected one of bible, imdb"
    ):
        download("koran", tmp_path)
