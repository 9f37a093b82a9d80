import hashlib
import os
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest

from irworks.data import catalog, download
from irworks.data.catalog import DataFile, DataSet
from irworks.errors import ArgumentError, DownloadError

CONTENT = {"a.txt": b"first file\n" * 50, "sub/b.bin": bytes(range(256)) * 300}


def data_set(content=CONTENT, name="toy"):
    files = tuple(
        DataFile(path, f"http://127.0.0.1:9/{path}", hashlib.sha256(body).hexdigest(), len(body))
        for path, body in content.items()
    )
    return DataSet(name, "A toy", "MIT", "https://l.example", "https://s.example", "group/toy", files, ("x",), "")


class Server:
    """A file server whose answers a test chooses, by path: bytes, or a function of the request handler."""

    def __init__(self):
        self.answers = {f"/toy/{path}": body for path, body in CONTENT.items()}
        self.asked = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked.append(self.path)
                answer = server.answers.get(self.path)
                if answer is None:
                    self.send_error(404)
                elif callable(answer):
                    answer(self)
                else:
                    server.send(self, answer, len(answer))

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @staticmethod
    def send(handler, body, length):
        handler.send_response(200)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(body)

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch):
    running = Server()
    monkeypatch.setenv("IRWORKS_DATA_MIRROR", running.address + "/")
    yield running
    running.close()


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    """One small data set, an empty cache, and no data folder."""
    monkeypatch.setattr(catalog, "entries", lambda: (data_set(),))
    monkeypatch.setenv("IRWORKS_CACHE", str(tmp_path / "cache"))
    for name in ("IRWORKS_DATA", "IRWORKS_DATA_MIRROR", "http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache" / "data" / "toy"


def assert_nothing_left(toy):
    assert not toy.exists()
    assert not toy.parent.exists() or list(toy.parent.iterdir()) == []


def assert_whole(folder):
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == set(CONTENT)
    for path, body in CONTENT.items():
        assert (folder / path).read_bytes() == body


def test_a_set_is_downloaded_once_announced_in_one_line_and_then_found(server, toy, capsys):
    said = []
    assert catalog.locate("toy", announce=said.append) == toy
    assert_whole(toy)
    assert [path.name for path in toy.parent.iterdir()] == ["toy"]
    assert said == [f"downloading toy (77.3 kB, MIT) from {server.address}"]
    assert catalog.locate("toy", announce=said.append) == toy
    assert catalog.get("toy", offline=True) == toy
    assert len(server.asked) == len(CONTENT)
    assert len(said) == 1
    assert capsys.readouterr() == ("", "")


def wrong_bytes(server):
    server.answers["/toy/sub/b.bin"] = b"x" * len(CONTENT["sub/b.bin"])


def fewer_bytes(server):
    server.answers["/toy/sub/b.bin"] = CONTENT["sub/b.bin"][:-1]


def cut(server):
    body = CONTENT["sub/b.bin"]
    server.answers["/toy/sub/b.bin"] = lambda handler: server.send(handler, body[:1000], len(body))


def absent(server):
    del server.answers["/toy/sub/b.bin"]


def broken(server):
    server.answers["/toy/sub/b.bin"] = lambda handler: handler.send_error(503)


def stalled(server):
    def answer(handler):
        server.send(handler, b"x" * 100, 1000)
        handler.wfile.flush()
        time.sleep(1)

    server.answers["/toy/sub/b.bin"] = answer


def silent(server):
    server.answers["/toy/sub/b.bin"] = lambda handler: time.sleep(1)


def hung_up(server):
    server.answers["/toy/sub/b.bin"] = lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (wrong_bytes, "SHA-256"),
        (fewer_bytes, "76799 bytes, expected 76800"),
        (cut, "cut before the whole file"),
        (absent, "the server answered 404"),
        (broken, "the server answered 503"),
        (stalled, "no answer within"),
        (silent, "no answer within"),
        (hung_up, "no connection to 127.0.0.1"),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_why_in_one_sentence(server, toy, monkeypatch, capsys, fault, says):
    monkeypatch.setattr(download, "_TIMEOUT_SECONDS", 0.3)
    fault(server)
    with pytest.raises(DownloadError, match=says) as caught:
        catalog.get("toy")
    message = str(caught.value)
    assert "'toy'" in message
    assert "sub/b.bin" in message
    assert "\n" not in message
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert_nothing_left(toy)
    assert capsys.readouterr() == ("", "")


def test_without_a_network_nothing_is_left_and_one_sentence_says_so(toy, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("IRWORKS_DATA_MIRROR", f"http://127.0.0.1:{port}")
    with pytest.raises(DownloadError, match=f"no connection to 127.0.0.1:{port}"):
        catalog.locate("toy")
    assert_nothing_left(toy)


def test_without_a_mirror_the_pinned_address_is_asked(server, toy, monkeypatch):
    monkeypatch.delenv("IRWORKS_DATA_MIRROR")
    entry = data_set()
    files = tuple(replace(file, url=f"{server.address}/pinned/{file.path}") for file in entry.files)
    server.answers = {f"/pinned/{path}": body for path, body in CONTENT.items()}
    monkeypatch.setattr(catalog, "entries", lambda: (replace(entry, files=files),))
    said = []
    assert_whole(catalog.locate("toy", announce=said.append))
    assert "https://s.example" in said[0]


def test_an_interrupted_download_leaves_nothing(server, toy, monkeypatch):
    def interrupted(self, url, path, _):
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        catalog.locate("toy")
    assert_nothing_left(toy)


@pytest.fixture
def no_sockets(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("ask", [catalog.locate, catalog.get])
def test_offline_opens_no_socket_and_names_the_command(toy, ask):
    with pytest.raises(DownloadError, match="irworks data get toy"):
        ask("toy", offline=True)
    assert catalog.verify("toy") == ["not on this machine; get it with: irworks data get toy"]
    assert_nothing_left(toy)


def place(folder, content=CONTENT):
    for path, body in content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    return folder


@pytest.mark.usefixtures("no_sockets")
def test_the_data_folder_comes_before_the_cache_and_the_network(toy, monkeypatch, tmp_path):
    place(toy)
    own = place(tmp_path / "own" / "group" / "toy")
    monkeypatch.setenv("IRWORKS_DATA", str(tmp_path / "own"))
    assert catalog.locate("toy") == own
    assert catalog.get("toy") == own
    assert catalog.verify("toy") == []


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("damage", ["missing", "short"])
def test_an_incomplete_data_folder_is_passed_over_with_a_warning(toy, monkeypatch, tmp_path, caplog, damage):
    own = place(tmp_path / "own" / "group" / "toy")
    if damage == "missing":
        (own / "a.txt").unlink()
    else:
        (own / "a.txt").write_bytes(b"short")
    monkeypatch.setenv("IRWORKS_DATA", str(tmp_path / "own"))
    place(toy)
    assert catalog.locate("toy") == toy
    assert "a.txt" in caplog.text
    assert str(own) in caplog.text


def flipped(folder):
    path = folder / "a.txt"
    path.write_bytes(path.read_bytes()[::-1])


def test_verify_names_each_file_that_is_not_as_published(toy):
    place(toy)
    assert catalog.verify("toy") == []
    flipped(toy)
    (toy / "sub" / "b.bin").unlink()
    problems = catalog.verify("toy")
    assert len(problems) == 2
    assert "a.txt has SHA-256" in problems[0]
    assert problems[1] == "sub/b.bin is absent"


def test_a_damaged_cache_is_downloaded_again_and_replaced_whole(server, toy):
    flipped(place(toy))
    assert catalog.get("toy") == toy
    assert_whole(toy)
    (toy / "a.txt").write_bytes(b"")
    assert catalog.locate("toy") == toy
    assert_whole(toy)
    assert [path.name for path in toy.parent.iterdir()] == ["toy"]


def test_a_damaged_cache_stays_until_its_replacement_is_here(server, toy):
    flipped(place(toy))
    absent(server)
    with pytest.raises(DownloadError):
        catalog.get("toy")
    assert (toy / "sub" / "b.bin").read_bytes() == CONTENT["sub/b.bin"]
    assert [path.name for path in toy.parent.iterdir()] == ["toy"]


@pytest.mark.usefixtures("no_sockets")
def test_damage_that_may_not_be_mended_is_an_error(toy, monkeypatch, tmp_path):
    flipped(place(toy))
    with pytest.raises(DownloadError, match=r"not as published: a\.txt has SHA-256"):
        catalog.get("toy", offline=True)
    own = place(tmp_path / "own" / "group" / "toy")
    flipped(own)
    monkeypatch.setenv("IRWORKS_DATA", str(tmp_path / "own"))
    with pytest.raises(DownloadError, match=re.escape(str(own))):
        catalog.get("toy")


def test_downloads_at_the_same_time_do_not_disturb_each_other(server, toy):
    barrier = threading.Barrier(4)

    def slow(body):
        def answer(handler):
            time.sleep(0.02)
            server.send(handler, body, len(body))

        return answer

    server.answers = {path: slow(body) for path, body in server.answers.items()}

    def one(_):
        barrier.wait()
        return catalog.get("toy")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, range(4))) == [toy] * 4
    assert_whole(toy)
    assert [path.name for path in toy.parent.iterdir()] == ["toy"]


def test_what_a_killed_download_left_is_cleared_a_day_later(server, toy):
    old, recent = (toy.parent / f".irworks-tmp-{name}" for name in ("old", "recent"))
    for folder in (old, recent):
        place(folder)
    day_before = time.time() - 2 * 24 * 3600
    os.utime(old, (day_before, day_before))
    catalog.locate("toy")
    assert not old.exists()
    assert recent.exists()


def test_a_cache_that_cannot_be_written_is_one_clear_error(server, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("IRWORKS_CACHE", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match="IRWORKS_CACHE"):
        catalog.locate("toy")


def test_an_unknown_name_is_refused_with_the_known_ones():
    for ask in (catalog.find, catalog.locate, catalog.get, catalog.verify):
        with pytest.raises(ArgumentError, match=r"'nope'.*toy"):
            ask("nope")


published = {entry.name: entry for entry in catalog.entries()}


def test_the_catalogue_has_what_the_first_package_uses():
    assert {"letor", "obd", "baidu-propensities"} <= set(published)


@pytest.mark.parametrize("name", published)
def test_every_entry_is_pinned_checksummed_and_licensed(name):
    entry = published[name]
    assert entry.title
    assert entry.licence
    assert entry.used_by
    assert entry.source.startswith("https://")
    assert entry.licence_url.startswith("https://")
    assert not Path(entry.folder).is_absolute()
    assert entry.size == sum(file.size for file in entry.files) > 0
    assert len({file.path for file in entry.files}) == len(entry.files)
    for file in entry.files:
        assert re.match(r"https://raw\.githubusercontent\.com/[\w.-]+/[\w.-]+/[0-9a-f]{40}/", file.url)
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)


DATA_ROOT = os.environ.get("IRWORKS_DATA")


@pytest.mark.data
@pytest.mark.skipif(not DATA_ROOT, reason="IRWORKS_DATA is not set")
@pytest.mark.parametrize("name", published)
def test_the_data_folder_is_as_published(monkeypatch, name):
    monkeypatch.setattr(catalog, "entries", lambda: tuple(published.values()))
    monkeypatch.setenv("IRWORKS_DATA", DATA_ROOT)
    assert catalog.verify(name) == []
    assert catalog.locate(name, offline=True) == Path(DATA_ROOT) / published[name].folder


@pytest.mark.network
@pytest.mark.parametrize("name", published)
def test_the_pinned_addresses_hold_what_the_checksums_say(monkeypatch, name):
    if not os.environ.get("IRWORKS_TEST_NETWORK"):
        pytest.skip("IRWORKS_TEST_NETWORK is not set")
    monkeypatch.setattr(catalog, "entries", lambda: tuple(published.values()))
    catalog.get(name)
    assert catalog.verify(name) == []
