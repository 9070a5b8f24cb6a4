"""Components found by their file's name: put a file in the room, and it can be chosen.

Plug-ins of other packages join through entry points of the group named after the room, for example
``[project.entry-points."allaprima.losses.adversarial"]`` with ``my_loss = "my_package.my_loss"``. There too the file's name
is the component's.

Use: ``Catalog("loss", "allaprima.losses.adversarial").get("hinge")`` imports and returns that module.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cached_property
from importlib.metadata import entry_points
from types import ModuleType

from allaprima.core.errors import UserError, suggest


class Catalog:
    """All components of one kind: the modules of one package, and the plug-ins of its entry-point group.

    Modules whose name starts with an underscore are the room's own tools, not components.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package

    @cached_property
    def _modules(self) -> dict[str, str]:
        room = importlib.import_module(self.package)
        found = {
            info.name: f"{self.package}.{info.name}"
            for info in pkgutil.iter_modules(room.__path__)
            if not info.name.startswith("_")
        }
        plugins = {point.value.rpartition(".")[2]: point.value for point in entry_points(group=self.package)}
        return plugins | found  # a plug-in cannot silently replace one of ours

    def names(self) -> list[str]:
        """Every component's name, sorted; nothing is imported but the room itself."""
        return sorted(self._modules)

    def get(self, name: str) -> ModuleType:
        """The component's module. Raises UserError, with the nearest name, when there is none."""
        if name not in self._modules:
            raise UserError(f"Unknown {self.kind} '{name}'", suggest(name, self._modules))
        return importlib.import_module(self._modules[name])
