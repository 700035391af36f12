"""Choice of the Ray cluster that a run uses, and a check that it answers; Ray's own connection attempt takes minutes.

Does not import ray, so that the authentication mode found here can be set before ray reads it.
"""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.execution.ray_token import MODE, TOKEN_HELP, find_token
from orchestrator.recipe.schema import RecipeError

ADDRESS = "RAY_ADDRESS"
ANSWER_SECONDS = 6.0
RETRY_SECONDS = 0.5
CHECK_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
CLIENT = "ray://"
GCS_FLAG = b"--gcs-address="  # of a raylet's command line
UNAUTHENTICATED = "unauthenticated"


@dataclass(frozen=True)
class Cluster:
    """A cluster's address, where it was found, and what to do when nothing answers there."""

    address: str
    origin: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.address} ({self.origin})"


def find_cluster(option: str | None, variables: MutableMapping[str, str] = os.environ) -> Cluster | None:
    """Returns the cluster to connect to, or None where Ray is to be started here.

    The order is Ray's: ``--address``, ``RAY_ADDRESS``, the file that ``ray start`` writes.

    Raises:
        RecipeError: for an invalid address, and when ``auto`` finds no cluster.
    """
    if option == "":
        raise RecipeError("--address is empty; give HOST:PORT, auto, or local to start Ray here")
    if option not in (None, "auto"):
        remedy = (
            "check that the cluster is up (ray status, on its head node), or give --address local to start Ray here"
        )
        return _checked(Cluster(str(option), "from --address", remedy))
    asked = variables.get(ADDRESS, "")
    if asked not in ("", "auto"):
        remedy = f"set {ADDRESS} to a cluster that is up, or unset it"
        return _checked(Cluster(asked, f"from the variable {ADDRESS}", remedy))
    path = _temporary(variables) / "ray" / "ray_current_cluster"
    try:
        found = path.read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        if "auto" not in (option, asked):
            return None
        running = _running_here()
        if len(running) != 1:
            there = f"processes of several run: {', '.join(running)}" if running else "no Ray process runs"
            raise RecipeError(
                f"--address auto: which Ray cluster this machine is part of is not known ({path} is not there, and "
                f"{there}); give HOST:PORT, or local to start Ray here"
            ) from None
        return Cluster(running[0], "from a Ray process that runs here", "give another one with --address")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"{path}, which names the Ray cluster of this machine, can't be read: {error}; give --address local to "
            "start Ray here, or --address HOST:PORT"
        ) from error
    remedy = f"a Ray that was killed leaves it: remove it (rm {path}), or give --address local to start Ray here"
    return _checked(Cluster(found, f"from the file {path}", remedy))


def check_answers(cluster: Cluster, variables: MutableMapping[str, str] = os.environ) -> None:
    """Check that the cluster answers within a few seconds, and set the authentication mode that it requires.

    Raises:
        RecipeError: naming the address, its origin, why it can't be used, and what to do.
    """
    if cluster.address.startswith(CLIENT):
        raise RecipeError(
            f"Ray cluster {cluster}: a run can't go through Ray Client; run the command on a node of the cluster, "
            "with --address auto, or submit it as a job"
        )
    mode, token = variables.get(MODE), find_token(variables)
    why = ask(cluster.address, token if mode == "token" else None)
    if why == UNAUTHENTICATED and mode is None and token:
        variables[MODE] = "token"  # as ``ray start`` does where there is a token
        why = ask(cluster.address, token)
    if why == UNAUTHENTICATED:
        raise RecipeError(f"Ray cluster {cluster} requires a token, {_about_token(mode, token)}; {TOKEN_HELP}")
    if why:
        raise RecipeError(f"Ray cluster {cluster} can't be used: {why}; {cluster.remedy}")


def _about_token(mode: str | None, token: str | None) -> str:
    if mode is not None and mode != "token":
        return f"and {MODE} is '{mode}'"
    return "and yours is another one" if token else "and there is none here"


def ask(address: str, token: str | None) -> str | None:
    """Returns why the cluster at the address can't be used; None if it answers. Takes ``ANSWER_SECONDS`` at most."""
    import grpc

    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    deadline = time.monotonic() + ANSWER_SECONDS
    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        call = channel.unary_unary(CHECK_ALIVE)
        while True:
            left = deadline - time.monotonic()
            try:
                call(b"", timeout=max(RETRY_SECONDS, left), metadata=metadata)
                return None
            except grpc.RpcError as error:
                code, details = error.code(), str(error.details())
            if code == grpc.StatusCode.UNAUTHENTICATED:
                return UNAUTHENTICATED
            if code == grpc.StatusCode.DEADLINE_EXCEEDED:
                return f"it did not answer within {ANSWER_SECONDS:.0f} s"
            if code != grpc.StatusCode.UNAVAILABLE:
                return f"the server there is not the head of a Ray cluster ({details})"
            if left <= RETRY_SECONDS:
                return f"nothing answers there ({details.rpartition(': ')[2].rstrip(']')})"
            time.sleep(RETRY_SECONDS)  # a head that has just been started may need a moment


def _running_here() -> list[str]:
    """Returns the addresses of the clusters that raylets on this machine belong to.

    ``ray start --temp-dir`` writes its file to that folder, where it is not found.
    """
    found = set()
    for path in sorted(Path("/proc").glob("[0-9]*/cmdline")):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"raylet" in os.path.basename(words[0]):
            for word in words:
                if word.startswith(GCS_FLAG):
                    found.add(word.removeprefix(GCS_FLAG).decode())
    return sorted(found)


def _temporary(variables: MutableMapping[str, str]) -> Path:
    """Returns the parent of Ray's temporary folder, by the variables that Ray reads."""
    return Path(variables.get("RAY_TMPDIR") or variables.get("TMPDIR") or "/tmp")


def _checked(cluster: Cluster) -> Cluster | None:
    """Returns the cluster, or None for ``local``; raises RecipeError for an invalid address."""
    if cluster.address == "local":
        return None
    host, _, port = cluster.address.removeprefix(CLIENT).rpartition(":")
    if "://" in cluster.address.removeprefix(CLIENT) or not _is_host(host) or not _is_port(port):
        raise RecipeError(
            f"Ray cluster '{cluster.address}' ({cluster.origin}) is not an address; give HOST:PORT, such as "
            f"10.0.0.5:6379. Or {cluster.remedy}"
        )
    return cluster


def _is_host(host: str) -> bool:
    if host.startswith("[") and host.endswith("]"):
        try:
            return bool(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            return False
    return bool(host) and not set(host) & set(" \t\n/:@[]")


def _is_port(port: str) -> bool:
    return port.isascii() and port.isdigit() and 0 < int(port) < 65536
