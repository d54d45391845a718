"""Pages of the documentation that the code itself writes.

Called when Sphinx starts: tables of configuration keys, columns, errors,
features and conformance tests come from what the package does, so that no
page can claim anything else.
"""

import ast
import inspect
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path

import pydantic

from lsst.dax.vo.config import ServiceConfig
from lsst.dax.vo.dali import FAULTS, Column
from lsst.dax.vo.obscore import OBSCORE_COLUMNS, RUBIN_COLUMNS, ObscoreConfig
from lsst.dax.vo.query import FEATURES

_ROOT = Path(__file__).parents[1]


def write_reference(folder: Path) -> None:
    """Write the generated pages.

    Parameters
    ----------
    folder
        Where; made if it is not there.
    """
    folder.mkdir(exist_ok=True)
    pages = {
        "service-config": "\n".join(_describe_model(model) for model in _iter_models(ServiceConfig)),
        "obscore-config": "\n".join(_describe_model(model) for model in _iter_models(ObscoreConfig)),
        "obscore-columns": _describe_columns(OBSCORE_COLUMNS),
        "rubin-columns": _describe_columns(RUBIN_COLUMNS),
        "adql-features": _describe_features(),
        "adql-functions": _describe_udfs(),
        "faults": _table(
            ("error", "what it is", "HTTP", "SODA", "SIAv2", "DataLink"),
            (
                (f"`{cls.__name__}`", _summary(cls), fault.http_status, fault.soda, fault.sia, fault.datalink)
                for cls, fault in FAULTS.items()
            ),
        ),
        "conformance": "\n".join(_iter_conformance()),
    }
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text() != text + "\n":
            path.write_text(text + "\n")


def _iter_models(model: type[pydantic.BaseModel]) -> Iterable[type[pydantic.BaseModel]]:
    """Return a model and those of its keys, each once."""
    found = {model: None}
    waiting: list[object] = [field.annotation for field in model.model_fields.values()]
    while waiting:
        annotation = waiting.pop(0)
        if not (inspect.isclass(annotation) and issubclass(annotation, pydantic.BaseModel)):
            waiting = [*typing.get_args(annotation), *waiting]
        elif annotation not in found:
            found[annotation] = None
            waiting = [*(field.annotation for field in annotation.model_fields.values()), *waiting]
    return found


def _describe_model(model: type[pydantic.BaseModel]) -> str:
    rows = []
    for name, field in model.model_fields.items():
        value = "" if field.is_required() else f"`{field.get_default(call_default_factory=True)!r}`"
        if isinstance(field.default, pydantic.BaseModel):
            value = "as below"
        rows.append((f"`{name}`", value, " ".join((field.description or "").split())))
    return (
        f"### {model.__name__}\n\n{inspect.getdoc(model)}\n\n{_table(('key', 'default', 'meaning'), rows)}\n"
    )


def _describe_columns(columns: Sequence[Column]) -> str:
    return _table(
        ("column", "type", "unit", "UCD", "description"),
        ((f"`{c.name}`", c.datatype, c.unit or "", c.ucd or "", c.description) for c in columns),
    )


def _describe_udfs() -> str:
    return _table(
        ("signature", "what it gives"),
        ((f"`{item.form}`", item.description) for item in FEATURES if item.kind.endswith("udf")),
    )


def _describe_features() -> str:
    kinds: dict[str, list[str]] = {}
    for feature in FEATURES:
        kinds.setdefault(feature.kind.rpartition("#")[2], []).append(f"`{feature.form}`")
    return _table(("kind", "declared"), ((kind, ", ".join(forms)) for kind, forms in kinds.items()))


def _summary(cls: type) -> str:
    if cls is BaseException:
        return "Anything else: a defect of ours; the message is a log id."
    return (inspect.getdoc(cls) or "").splitlines()[0]


def _iter_conformance() -> Iterable[str]:
    for folder in sorted(path for path in (_ROOT / "tests" / "conformance").iterdir() if path.is_dir()):
        rows = []
        for path in sorted(folder.rglob("test_*.py")):
            module = ast.parse(path.read_text())
            tests = [
                node
                for node in ast.walk(module)
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
            ]
            told = (ast.get_docstring(module) or path.stem).splitlines()[0]
            words = "; ".join(node.name.removeprefix("test_").replace("_", " ") for node in tests)
            rows.append((told, len(tests), words))
        # A folder of bytecode alone is what a branch left behind.
        if rows:
            yield f"### {folder.name}\n"
            yield _table(("what", "tests", "which"), rows) + "\n"


def _table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [" | ".join(names), " | ".join("---" for _ in names)]
    lines += [" | ".join(str(value).replace("|", "\\|") for value in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)
