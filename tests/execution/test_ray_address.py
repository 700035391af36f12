"""Which Ray cluster a run uses, and what is said of one that can't be used."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import grpc
import pytest

from orchestrator.execution import ray_address
from orchestrator.execution.ray_address import CHECK_ALIVE, Cluster, check_answers, find_cluster
from orchestrator.recipe.schema import RecipeError

TOKEN = "a" * 64


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment with a temporary folder and a home of its own; answers are waited for but shortly."""
    monkeypatch.setattr(ray_address, "ANSWER_SECONDS", 0.6)
    return {"RAY_TMPDIR": str(tmp_path), "HOME": str(tmp_path)}


def address_file(variables: dict[str, str], content: str = "10.0.0.3:6379") -> Path:
    """The file that ``ray start`` leaves."""
    path = Path(variables["RAY_TMPDIR"]) / "ray" / "ray_current_cluster"
    path.parent.mkdir()
    path.write_text(content)
    return path


def cluster(address: str) -> Cluster:
    return Cluster(address, "from --address", "check it")


# -- which cluster -----------------------------------------------------------------------------------------------


def test_without_any_address_ray_is_started_here(variables: dict[str, str]) -> None:
    assert find_cluster(None, variables) is None


@pytest.mark.parametrize("option", [None, "auto"])
def test_the_option_goes_before_the_variable_and_the_variable_before_the_file(
    variables: dict[str, str], option: str | None
) -> None:
    path = address_file(variables)
    found = find_cluster(option, variables)
    assert found is not None and (found.address, found.origin) == ("10.0.0.3:6379", f"from the file {path}")
    assert f"rm {path}" in found.remedy
    variables["RAY_ADDRESS"] = "10.0.0.2:6379"
    found = find_cluster(option, variables)
    assert found is not None and str(found) == "10.0.0.2:6379 (from the variable RAY_ADDRESS)"
    found = find_cluster("10.0.0.1:6379", variables)
    assert found is not None and str(found) == "10.0.0.1:6379 (from --address)"


def test_local_starts_ray_here_whatever_else_names_a_cluster(variables: dict[str, str]) -> None:
    address_file(variables)
    assert find_cluster("local", variables) is None
    assert find_cluster(None, variables | {"RAY_ADDRESS": "local"}) is None


@pytest.mark.parametrize("address", ["[::1]:6379", "head.example:6379", "ray://head:10001"])
def test_names_and_ipv6_are_addresses(variables: dict[str, str], address: str) -> None:
    found = find_cluster(address, variables)
    assert found is not None and found.address == address


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "http://head:8265", "head:99999", "head:port", ":6379", "a b:1", "[x]:1"]
)
def test_what_is_no_address_is_refused_with_where_it_stands(variables: dict[str, str], address: str) -> None:
    for option, more, origin in (
        (address, {}, "--address"),
        (None, {"RAY_ADDRESS": address}, "RAY_ADDRESS"),
    ):
        with pytest.raises(RecipeError, match="is not an address; give HOST:PORT") as refused:
            find_cluster(option, variables | more)
        assert f"'{address}'" in str(refused.value) and origin in str(refused.value)


def test_an_empty_option_and_an_empty_file_are_refused(variables: dict[str, str]) -> None:
    with pytest.raises(RecipeError, match="--address is empty"):
        find_cluster("", variables)
    path = address_file(variables, "")
    with pytest.raises(RecipeError, match=f"is not an address.*rm {path}"):
        find_cluster(None, variables)


def test_an_address_file_that_can_t_be_read_is_named(variables: dict[str, str]) -> None:
    path = address_file(variables)
    path.unlink()
    path.mkdir()
    with pytest.raises(RecipeError, match=f"{path}, which names the Ray cluster.*--address local"):
        find_cluster(None, variables)


# -- whether it answers ------------------------------------------------------------------------------------------


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def web() -> Iterator[str]:
    """A server of something else."""
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def guarded() -> Iterator[str]:
    """A server that answers as the head of a cluster with a token does."""

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        if ("authorization", f"Bearer {TOKEN}") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
        return b""

    _, service, method = CHECK_ALIVE.split("/")
    server = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def refusal(address: str, variables: dict[str, str]) -> str:
    with pytest.raises(RecipeError) as refused:
        check_answers(cluster(address), variables)
    message = str(refused.value)
    assert "\n" not in message and f"{address} (from --address)" in message
    return message


def test_a_cluster_that_is_up_answers(variables: dict[str, str], ray_address: str) -> None:
    check_answers(cluster(ray_address), variables)
    assert "RAY_AUTH_MODE" not in variables


def test_a_port_where_nothing_listens_is_told_with_the_remedy(variables: dict[str, str], silent: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    message = refusal(f"127.0.0.1:{port}", variables)
    assert "nothing answers there (Connection refused); check it" in message


def test_a_server_that_accepts_and_never_answers_is_given_up(variables: dict[str, str], silent: str) -> None:
    assert "it did not answer within" in refusal(silent, variables)


def test_a_server_of_something_else_is_no_cluster(variables: dict[str, str], web: str) -> None:
    message = refusal(web, variables)
    assert "not the head of a Ray cluster" in message or "nothing answers there" in message


def test_ray_client_is_refused(variables: dict[str, str]) -> None:
    assert "Ray Client" in refusal("ray://127.0.0.1:10001", variables)


def test_the_token_of_the_home_is_used_where_the_cluster_asks_for_one(variables: dict[str, str], guarded: str) -> None:
    folder = Path(variables["HOME"]) / ".ray"
    folder.mkdir()
    (folder / "auth_token").write_text(f"{TOKEN}\n")
    check_answers(cluster(guarded), variables)
    assert variables["RAY_AUTH_MODE"] == "token"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "there is none here"),
        ({"RAY_AUTH_TOKEN": "of another cluster"}, "another one than yours"),
        ({"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": TOKEN}, "RAY_AUTH_MODE is 'disabled'"),
    ],
)
def test_a_cluster_that_asks_for_a_token_says_where_to_put_it(
    variables: dict[str, str], guarded: str, more: dict[str, str], words: str
) -> None:
    message = refusal(guarded, variables | more)
    assert "asks for a token" in message and words in message
    assert "~/.ray/auth_token" in message and "RAY_AUTH_MODE=token" in message
