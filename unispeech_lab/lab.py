"""The JupyterLab server that opens on the guided tour.

It listens on 127.0.0.1 alone, wants a token made afresh at each start, and asks nothing of the network.
"""

import os
import secrets
import shutil
import socket
from contextlib import suppress
from pathlib import Path

from unispeech_lab import paths

TOUR = "00_tour.ipynb"
INDEX = "index.ipynb"  # of a folder that ``unispeech-lab course build`` wrote


def prepare(folder: Path | None = None) -> tuple[Path, str]:
    """Make sure there are notebooks to work in; return the folder to serve, with the first page's path inside it.

    A checkout works in its own ``notebooks/``. With a ``folder``, or from a wheel (then ``unispeech-notebooks`` in the
    current folder), the shipped notebooks are copied there; a file already there is never overwritten. What their links
    lead to, the source and CONTRIBUTING.md, is put beside them. A folder of the course, which has an index and its own
    ``source/``, is left as it is: a notebook with its solutions is not put among a student's.
    """
    if folder is None and paths.in_checkout():
        return paths.notebooks_dir().parent, f"{paths.notebooks_dir().name}/{TOUR}"
    folder = Path(folder or "unispeech-notebooks").resolve()
    if (folder / INDEX).is_file() and (folder / "source").is_dir():
        return folder, INDEX
    folder.mkdir(parents=True, exist_ok=True)
    source = paths.notebooks_dir()
    for file in sorted(source.rglob("*")):
        kept = folder / file.relative_to(source)
        if file.is_file() and ".ipynb_checkpoints" not in file.parts and not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(
                file.read_bytes().replace(b"](../", b"](") if file.suffix == ".ipynb" else file.read_bytes()
            )
    if not (folder / "CONTRIBUTING.md").exists():
        shutil.copyfile(paths.contributing(), folder / "CONTRIBUTING.md")
    if not (folder / "unispeech_lab").exists():
        with suppress(OSError):  # Windows allows links to some only
            (folder / "unispeech_lab").symlink_to(paths.PACKAGE, target_is_directory=True)
    return folder, TOUR


def serve(folder: Path | None = None, browser: bool = True, port: int | None = None) -> None:
    """Serve the notebooks until Ctrl-C; print the one address that opens them.

    Without a ``port`` it is 8888 or, where that is taken, another free one. Raises ``OSError`` when the ``port`` asked
    for is taken.
    """
    if port:
        demand_free(port)
    from jupyterlab.labapp import LabApp  # heavy: the other commands do not wait for it

    root, tour = prepare(folder)
    # A kernel of this very environment, even where the user keeps another one called python3.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    token = secrets.token_urlsafe(24)
    server = LabApp.initialize_server(argv=_arguments(root, tour, browser, port, token))
    server.web_app.settings["page_config_hook"] = _without_news

    def announce() -> None:
        url = f"http://127.0.0.1:{server.port}/lab/tree/{tour}?token={token}"
        print(f"UniSpeech Lab is open at\n\n    {url}\n\nNotebooks: {(root / tour).parent}\nStop: Ctrl-C", flush=True)

    server.io_loop.add_callback(announce)
    server.start()
    print("UniSpeech Lab is closed.", flush=True)


def _without_news(handler, page: dict) -> dict:
    """JupyterLab's page without the plugin that asks whether to fetch news, and looks for updates by itself."""
    news = "@jupyterlab/apputils-extension:announcements"
    return page | {"disabledExtensions": [*page.get("disabledExtensions", []), news]}


def demand_free(port: int) -> None:
    """Raises ``OSError``, and says what to do, when somebody listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise OSError(
                f"expected port {port} to be free on 127.0.0.1, found: {error.strerror}. "
                f"Leave --port away to take the next free one"
            ) from error


def _arguments(root: Path, tour: str, browser: bool, port: int | None, token: str) -> list[str]:
    arguments = [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={8888 if port is None else port}",
        f"--ServerApp.port_retries={50 if port is None else 0}",
        f"--ServerApp.root_dir={root}",
        f"--ServerApp.open_browser={browser}",
        f"--IdentityProvider.token={token}",
        f"--LabApp.default_url=/lab/tree/{tour}",
        "--LabApp.expose_app_in_browser=True",  # the browser tests drive window.jupyterapp
        "--LabApp.extension_manager=readonly",  # the other one fetches a catalogue
        "--ServerApp.answer_yes=True",  # one Ctrl-C stops it
        "--Application.log_level=WARN",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--ServerApp.allow_root=True")  # in a container everybody is root
    return arguments
