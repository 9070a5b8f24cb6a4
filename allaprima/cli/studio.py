"""``allaprima studio RUN``: play a generator in a page on this machine."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from allaprima.cli._options import AccessLog, Tokens, Unmarked, Watermark


def studio(
    run: Annotated[
        Path | None,
        typer.Argument(help="A run or bundle folder; without it the generator that comes with the package."),
    ] = None,
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7860,
    host: Annotated[str, typer.Option(help="Beyond this machine: 0.0.0.0, with a token.")] = "127.0.0.1",
    token: Annotated[str | None, typer.Option(help="Who opens the page must know it.")] = None,
    engine: Annotated[str | None, typer.Option(help="What paints; by default what `allaprima doctor` found.")] = None,
    osc: Annotated[
        int | None, typer.Option(help="A UDP port of this machine on which OSC messages are heard; 0 takes a free one.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
    tokens: Tokens = None,
    access_log: AccessLog = None,
    watermark: Watermark = False,
    unmarked: Unmarked = False,
) -> None:
    """Play a generator live in a web page."""
    from allaprima.bundle.bundle import Bundle
    from allaprima.bundle.starter import STARTER
    from allaprima.core.device import Device
    from allaprima.runtime.engine import Engine
    from allaprima.server import listen
    from allaprima.server.access import written_to
    from allaprima.server.app import create
    from allaprima.server.controls import bind
    from allaprima.server.guard import Rules
    from allaprima.server.tokens import named

    run = STARTER if run is None else run
    rules = Rules.for_binding(host, token, named(tokens))
    with listen.bind(host, port) as listening, contextlib.ExitStack() as stack:
        heard = None if osc is None else stack.enter_context(bind(osc))
        bundle = Bundle.load(run, Device.choose().torch)
        address = listen.address_of(listening, host)

        def started() -> None:
            asked = "?token=…" if rules.asks_for_one else ""
            print(f"The studio of '{run.resolve().name}' is at {address}{asked}  (Ctrl-C ends it)", flush=True)
            if heard is not None:
                print(f"OSC is heard on 127.0.0.1:{heard.getsockname()[1]}", flush=True)
            if browser:
                listen.open_browser(f"{address}?token={token}" if token else address)

        listen.run(
            create(bundle, run.resolve().name, rules, Engine(bundle, engine), heard, written_to(access_log)),
            listening,
            started,
        )
