"""The door to the hub: whether it can be reached is asked once, in seconds, before anything waits for it."""

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import constants
from transformers.utils import cached_file

HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")
PATIENCE = 3.0  # seconds to wait for a connection


def is_on_the_hub(where) -> bool:
    """Whether a name means a repository of the hub: ``owner/name``, and no folder of that name is there."""
    return not os.path.exists(where) and str(where).count("/") == 1 and not str(where).startswith((".", "~", "/"))


def reach(where, options: dict) -> dict:
    """Options for reading ``where``; what the cache holds has to do if the hub cannot be reached.

    transformers alone tries six times for each file, 23 s, before it looks into the cache.
    """
    if options.get("local_files_only") or not is_on_the_hub(where) or is_reachable():
        return options
    return {**options, "local_files_only": True}


def is_reachable() -> bool:
    """Whether the hub, or the proxy before it, takes a connection; False where ``HF_HUB_OFFLINE`` is set."""
    if constants.HF_HUB_OFFLINE:
        return False
    address = urlsplit(constants.ENDPOINT)
    proxy = getproxies().get(address.scheme)
    if proxy and not proxy_bypass(address.netloc):
        address = urlsplit(proxy if "://" in proxy else f"//{proxy}")
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname, port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True


def why_not_there(options: dict) -> str:
    """What to say of a repository of which nothing could be read."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set, so only this machine's cache was asked: unset it, or give a folder"
    if options.get("local_files_only"):
        return (
            f"the hub ({constants.ENDPOINT}) was not asked or cannot be reached, so only this machine's cache was: "
            "give a folder, or load('tiny'), which needs no network"
        )
    return "check its name and, if it is private, log in with: hf auth login"


def find_file(where, name: str, options: dict) -> Path | None:
    """A file of a folder or of a repository, fetched if need be; None if it is not there."""
    try:
        found = cached_file(where, name, **{key: options[key] for key in HUB_OPTIONS if key in options})
    except OSError:
        return None
    return None if found is None else Path(found)
