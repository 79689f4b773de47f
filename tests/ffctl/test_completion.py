"""Completion: commands, options and live names from the daemon, also in the shells themselves where they are there."""

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ffctl.conftest import Ffctl, environment
from tests.ffctl.standin import Node


@pytest.fixture
def busy(node: Node) -> Node:
    node.subscribe({"name": "worker", "transport": "websockets"})
    node.subscribe({"name": "audit", "transport": "websockets"})
    node.broadcast({"header": {"topics": ["orders"]}, "data": [{"value": 1}]})
    node.broadcast({"header": {"topics": ["other:one"]}, "data": [{"value": 1}]})
    return node


WORDS: dict[str, tuple[list[str], list[str]]] = {
    "commands": (["t"], ["tail"]),
    "commands of a noun": (["sub", "s"], ["show"]),
    "options": (["tail", "--to"], ["--topic"]),
    "subscriptions": (["tail", ""], ["audit", "worker"]),
    "subscriptions by a beginning": (["sub", "show", "w"], ["worker"]),
    "topics": (["tail", "--topic", ""], ["orders", "other:one"]),
    "topics to send to": (["broadcast", "-t", "ord"], ["orders"]),
    "types": (["event", "list", "--type", "message_r"], ["message_rejected"]),
    "places": (["tail", "--from", ""], ["oldest", "newest"]),
    "filters": (["tail", "--filter", "message.t"], ["message.tag="]),
    "shapes": (["status", "-o", "j"], ["json"]),
    "nothing": (["msg", "show", ""], []),
}


@pytest.mark.parametrize(("words", "found"), WORDS.values(), ids=WORDS)
def test_what_can_stand_there_is_suggested(words: list[str], found: list[str], busy: Node, ffctl: Ffctl) -> None:
    done = ffctl(*words, _FFCTL_COMPLETE="bash")
    assert done.code == 0 and done.err == "" and done.lines == found


def test_zsh_and_fish_are_told_what_each_word_does(busy: Node, ffctl: Ffctl) -> None:
    assert ffctl("tail", "--topic", "ot", _FFCTL_COMPLETE="zsh").out == "other\\:one\n"
    assert ffctl("pi", _FFCTL_COMPLETE="zsh").out.startswith("pin:Pins: the marks")
    assert ffctl("pi", _FFCTL_COMPLETE="fish").out.startswith("pin\tPins: the marks")


def test_no_daemon_means_no_names_and_no_noise(place: Path, ffctl: Ffctl) -> None:
    done = ffctl("tail", "", _FFCTL_COMPLETE="bash")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_a_daemon_that_does_not_answer_does_not_hold_up_the_shell(place: Path, ffctl: Ffctl) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(place / "ffd.sock"))
        silent.listen()
        began = time.monotonic()
        assert ffctl("tail", "", _FFCTL_COMPLETE="bash").out == ""
        assert time.monotonic() - began < 3


SHELLS = {
    "bash": "source <(ffctl completion bash); COMP_WORDS=(ffctl tail --topic ord); COMP_CWORD=3; "
            '_ffctl ffctl; echo "${COMPREPLY[@]}"',
    "fish": "ffctl completion fish | source; complete -C 'ffctl tail --topic ord'",
    "zsh": "autoload -Uz compinit; compinit -u; eval \"$(ffctl completion zsh)\"; "
           "_describe() { print -r -- $found }; words=(ffctl tail --topic ord); CURRENT=4; _ffctl",
}  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_the_scripts_work_in_their_shells(shell: str, busy: Node) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    programs = busy.path.parent / "bin"
    programs.mkdir()
    (programs / "ffctl").write_text(f'#!/bin/sh\nexec {sys.executable} -m ffctl "$@"\n')
    (programs / "ffctl").chmod(0o755)
    env = environment(busy.path)
    env["PATH"] = f"{programs}:{env['PATH']}"
    done = subprocess.run([shell, "-c", SHELLS[shell]], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "orders", done.stderr
