"""``allaprima serve RUN…``: several generators for programs: REST, WebSocket, OpenAI's images API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allaprima.cli._options import AccessLog, Tokens, Unmarked, Watermark


def serve(
    runs: Annotated[list[Path], typer.Argument(help="Run or bundle folders; each is a model, named after its folder.")],
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7860,
    host: Annotated[str, typer.Option(help="Beyond this machine: 0.0.0.0, with a token.")] = "127.0.0.1",
    token: Annotated[str | None, typer.Option(envvar="ALLAPRIMA_TOKEN", help="Who asks must know it.")] = None,
    engine: Annotated[str | None, typer.Option(help="What paints; by default what `allaprima doctor` found.")] = None,
    queue: Annotated[int, typer.Option(min=1, help="Pictures that may wait for each model.")] = 64,
    drain: Annotated[int, typer.Option(min=0, help="Seconds for what is begun, after SIGTERM.")] = 8,
    tokens: Tokens = None,
    access_log: AccessLog = None,
    watermark: Watermark = False,
    unmarked: Unmarked = False,
) -> None:
    """Serve generators to other programs."""
    from allaprima.core.device import Device
    from allaprima.server import listen
    from allaprima.server.access import written_to
    from allaprima.server.app import serving
    from allaprima.server.guard import Rules
    from allaprima.server.models import open_all
    from allaprima.server.tokens import named

    rules = Rules.for_binding(host, token, named(tokens))
    with listen.bind(host, port) as listening:
        engines = open_all(runs, engine, Device.choose().torch)
        address = listen.address_of(listening, host)

        def started() -> None:
            for name, one in engines.items():
                print(f"{name}: {one.painter.name}", flush=True)
            print(f"Serving at {address}, OpenAI's images API at {address}v1  (Ctrl-C ends it)", flush=True)

        listen.run(serving(engines, rules, queue, log=written_to(access_log)), listening, started, drain)
