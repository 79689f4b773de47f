"""Write the manual pages of ffctl from its command tree: `python man/build.py` writes them, `--check` compares.

One page for the program and one for each of its commands, in the man(7) macros that every reader has.
"""

import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from ffctl.app import app  # noqa: E402
from ffctl.failure import EXIT_CODES  # noqa: E402
from ffctl.settings import Settings  # noqa: E402
from ffctl.tree import TyperGroup, build  # noqa: E402

DATE = "2026-03-01"
ENVIRONMENT = (
    ("FFD_SOCKET", "The daemon's socket, as --socket."),
    ("FFD_NAMESPACE", "The namespace, as --namespace."),
    ("XDG_RUNTIME_DIR", "The socket is ffd/ffd.sock in it, unless it is named: see FILES."),
    ("NO_COLOR", "Any value: no colour."),
    ("TERM", "dumb: no colour and no progress."),
)
FILES = (
    ("$XDG_RUNTIME_DIR/ffd/ffd.sock", "The socket of this user's ffd, unless it is named; without a session"),
    ("/tmp/ffd-UID/ffd.sock", "is where it is. If there is none,"),  # noqa: S108
    ("/run/ffd/ffd.sock", "is asked: that of the system's ffd."),
)
OVERVIEW = """\
Results go to stdout, and only they do; what is said about the work goes to stderr.
With
.B \\-o
every command prints the same data as a table, JSON, NDJSON, YAML or ids.
On a terminal a table has a header and is cut to the width; on a pipe its columns end at tabs and nothing is shortened.
Control characters, invisible characters and those that reverse the direction of text are shown as escapes, so that a
payload cannot disturb a terminal; only
.B \\-\\-format
on a pipe gives texts as they are.
.PP
Errors are one line,
.IR "ffctl: CODE: text" ,
and mostly a second one with a hint."""


def pages() -> dict[str, str]:
    """File name -> text of every page."""
    root: Any = build(app)
    context = root.context_class(root, info_name="ffctl", obj=Settings(), **root.context_settings)
    names = root.list_commands(context)
    found = {"ffctl.1": page(root, context, ["ffctl"], [f"ffctl-{name}" for name in names])}
    for name in names:
        command = root.get_command(context, name)
        below = command.context_class(command, info_name=name, parent=context, **command.context_settings)
        found[f"ffctl-{name}.1"] = page(command, below, ["ffctl", name], ["ffctl"])
    return found


def page(command: Any, context: Any, path: list[str], see: list[str]) -> str:
    """One manual page."""
    name = "-".join(path)
    about, _, more = command.help.partition("\n\n")
    parts = [
        f'.TH {name.upper()} 1 "{DATE}" "ffd" "User Commands"',
        ".SH NAME", f"{escaped(name)} \\- {escaped(lower(about.strip().removesuffix('.')))}",
        ".SH SYNOPSIS", *synopsis(command, context, path),
        ".SH DESCRIPTION", *described(about, more),
    ]  # fmt: skip
    if path == ["ffctl"]:
        parts += [".PP", OVERVIEW]
    if isinstance(command, TyperGroup):
        parts += [".SH COMMANDS", *commands(command, context, path)]
    parts += [
        ".SH OPTIONS",
        *options(command, context, common=path == ["ffctl"] or not isinstance(command, TyperGroup)),
    ]
    parts += examples(command, context)
    parts += [
        ".SH EXIT STATUS",
        *definitions((str(code), f"{named}: {what}.") for code, (named, what) in EXIT_CODES.items()),
    ]
    if path == ["ffctl"]:
        parts += [".SH ENVIRONMENT", *definitions(ENVIRONMENT), ".SH FILES", *definitions(FILES)]
    parts += [".SH SEE ALSO", ",\n".join(f".BR {escaped(other)} (1)" for other in see).replace(",\n", " ,\n"), ""]
    return "\n".join(parts)


def synopsis(command: Any, context: Any, path: list[str]) -> list[str]:
    usage = command.collect_usage_pieces(context)
    lines = [f".B {escaped(' '.join(path))}", f".I {escaped(' '.join(usage))}"]
    return lines


def described(about: str, more: str) -> list[str]:
    paragraphs = [about, *filter(None, more.split("\n\n"))]
    return "\n.PP\n".join(escaped(" ".join(paragraph.split())) for paragraph in paragraphs).split("\n")


def commands(group: Any, context: Any, path: list[str]) -> list[str]:
    """The commands below; those of a group with all that their own page would say."""
    lines: list[str] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        about, _, more = command.help.partition("\n\n")
        if len(path) == 1:
            lines += [".TP", f".BR ffctl\\-{escaped(name)} (1)", escaped(" ".join(about.split()))]
            continue
        below = command.context_class(command, info_name=name, parent=context, **command.context_settings)
        usage = " ".join(command.collect_usage_pieces(below))
        lines += [f".SS {escaped(' '.join([*path, name]))} {escaped(usage)}", *described(about, more)]
        lines += options(command, below, common=False)
    return lines


def options(command: Any, context: Any, *, common: bool) -> list[str]:
    """Arguments and options as tagged paragraphs; the common ones only where they are wanted."""
    shared = {id(param) for param in common_params()}
    rows = []
    for param in command.get_params(context):
        if not common and (id(param) in shared or "--help" in param.opts):
            continue
        record = param.get_help_record(context)
        if record:
            rows.append((record[0], re.sub(r"\s+", " ", record[1])))
    if not rows:
        return ["The common options: see", ".BR ffctl (1)."] if not common else []
    return definitions(rows)


def common_params() -> list[Any]:
    from ffctl.tree import common_options

    return list(common_options())


def examples(command: Any, context: Any) -> list[str]:
    """The examples of a command and of those below it, set as they stand."""
    found = [command.epilog] if command.epilog else []
    if isinstance(command, TyperGroup) and context.parent is not None:
        found += [below.epilog for below in command.commands.values() if below.epilog]
    lines = [line.strip() for epilog in found for line in epilog.split("\n")[2:]]
    return [".SH EXAMPLES", ".nf", *map(escaped, lines), ".fi"] if lines else []


def definitions(rows: Any) -> list[str]:
    """Terms with what they mean."""
    return [line for term, meaning in rows for line in (".TP", f".B {escaped(term)}", escaped(meaning))]


def lower(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].lower() + text[1:]


def escaped(text: str) -> str:
    """Text as roff takes it: nothing in it is a request."""
    text = (
        text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha")
    )
    text = text.replace("~", "\\(ti")
    return f"\\&{text}" if text.startswith(".") else text


def main() -> int:
    """Write the pages, or with `--check` say which differ from what is written."""
    stale = (
        [name for name, text in pages().items() if (HERE / name).read_text() != text] if "--check" in sys.argv else None
    )
    if stale is not None:
        sys.stderr.writelines(f"man/{name} is out of date: run `python man/build.py`\n" for name in stale)
        return 1 if stale else 0
    for name, text in pages().items():
        (HERE / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
