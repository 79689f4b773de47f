"""man/ffd.toml.5: every key of the configuration, from the configuration's own description of itself."""

from itertools import groupby

from ffd.daemon.config import describe_config
from ffd.daemon.settings import Described

HEAD = r"""
.\" Written by `make man` from ffd/daemon/config.py; do not edit.
.Dd March 1, 2026
.Dt FFD.TOML 5
.Os
.Sh NAME
.Nm ffd.toml
.Nd configuration of the event bus daemon ffd
.Sh DESCRIPTION
.Xr ffd 8
needs no configuration.
What is to differ from the defaults below stands in a file in TOML 1.0, which is named by
.Fl Fl config
or by
.Ev FFD_CONFIG ;
no file is looked for otherwise.
.Pp
An unknown key, a value of the wrong type or out of bounds, and a name that leads nowhere are errors: ffd does not start
with them, and
.Ic ffd Fl Fl check-config
lists all of them at once, each with file, line and key.
.Ss Types
.Bl -tag -width "duration"
.It text
a string.
.It name
a string of 1 to 64 letters, digits,
.Ql \&. ,
.Ql _
and
.Ql \- ,
that begins and ends with a letter or digit.
.It number
an integer.
.It size
a number of bytes, or a string in units of 1024:
.Ql 800Kb ,
.Ql 8Mb .
.It duration
a number of seconds, or a string:
.Ql 250ms ,
.Ql 1m30s .
.It switch
true or false.
.It mode
access bits in octal:
.Ql 0o660
or the string
.Ql 0660 .
.El
.Ss Environment
Every key is an environment variable too, which is stronger than the file: the key's parts in capitals, joined by two
underscores, after
.Ql FFD_ :
.Ev FFD_LOG__LEVEL
is
.Va log.level ,
.Ev FFD_NAMESPACES__SALES__LEDGER
is
.Va namespaces.sales.ledger .
A list has commas between its words.
.Ev FFD_SOCKET ,
.Ev FFD_STATE_DIR
and
.Ev FFD_ROLES
stand for
.Va socket.path ,
.Va state_dir
and
.Va roles .
An empty variable counts as none.
Options of
.Xr ffd 8
are stronger than both.
.Ss Reload
At a SIGHUP the file and the environment are read again.
.Va log.level ,
.Va timeouts.stop_s ,
.Va limits.message_bytes_max ,
.Va limits.unsent_messages_max ,
.Va limits.disk_reserve_bytes ,
.Va limits.blob_bytes_max ,
.Va http.certificate_file ,
.Va http.key_file ,
.Va http.client_ca_file ,
.Va http.tokens_file ,
.Va http.passwords_file ,
.Va http.hosts
and
.Va http.cors_origins
are taken over, the files that these name are read again, and connections that are open stay; everything else is at
the next start.
A configuration with errors changes nothing, and the log says what is wrong with it.
""".lstrip()

ABOUT = {
    "namespaces": "What this node takes part in.\nA table for each, by its local name; when there is none, there is "
    "one named \\(lqdefault\\(rq.",
    "ledgers": "What may order messages.\nA table for each, by the name that namespaces use; \\(lqlocal\\(rq, the "
    "embedded ledger, is always there unless it is configured otherwise.",
    "storages": "Where payloads of broadcasts are put for all members.\nA table for each, by the name that namespaces "
    "use; \\(lqlocal\\(rq, a folder, is always there unless it is configured otherwise.",
    "exchanges": "What brings private messages to the nodes of other members.\nA table for each, by the name that "
    "namespaces use; \\(lqlocal\\(rq, which reaches this node alone, is always there unless it is configured "
    "otherwise.",
    "http": "The same interface over TCP, for what cannot use the socket; there is none unless an address is set.\nA "
    "TCP listener of the service manager comes instead of address and port, and keeps the other rules.",
    "limits": "Where a clear refusal comes before damage.",
}

TAIL = r"""
.Ss Options of the plugins that come with ffd
.Bl -tag -width Ds
.It ledger Dq file
.Va path :
the ledger's file, in
.Va state_dir
unless it is absolute (default
.Pa ledger.db ) .
Nodes of one machine that name the same file share the ledger.
.It storage Dq directory
.Va path :
the folder, in
.Va state_dir
unless it is absolute (default
.Pa storage ) .
.It exchange Dq loopback
none.
.It exchange Dq https
.Va address , port :
where it listens (default 127.0.0.1, 3001).
.Va endpoint :
where peers reach it, such as
.Li https://node.example.com:3001
(default: where it listens).
.Va certificate_file , key_file :
what the node proves itself with, in PEM; a certificate's subject names it among its peers by O, or O and OU.
Without them it makes itself a certificate in
.Pa exchange/NAME
of
.Va state_dir .
.Va next_certificate_file :
the certificate that will follow, published with the one in use (default
.Pa next-
and the file's name, beside it).
.It exchange Dq memory
.Va mesh :
the name of those that reach each other.
.It ledger Dq memory , storage Dq memory , exchange Dq memory
gone when the process ends; for tests.
.El
.Sh FILES
Unless they are named:
.Bl -tag -width Ds
.It Va state_dir
.Ev $STATE_DIRECTORY
(set by systemd), else
.Pa $XDG_STATE_HOME/ffd ,
else
.Pa ~/.local/state/ffd .
.It Va socket.path
.Pa $RUNTIME_DIRECTORY/ffd.sock
(set by systemd), else
.Pa $XDG_RUNTIME_DIR/ffd/ffd.sock ,
else
.Pa /tmp/ffd-UID/ffd.sock .
.El
.Sh EXAMPLES
A second namespace on a ledger and a storage that another node of this machine shares, and a socket for a group:
.Bd -literal -offset indent
[socket]
mode = 0o660
group = "apps"

[namespaces.default]

[namespaces.sales]
description = "orders and offers"
ledger = "shared"
storage = "shared"

[ledgers.shared]
plugin = "file"
options = { path = "/srv/sales/ledger.db" }

[storages.shared]
plugin = "directory"
options = { path = "/srv/sales/storage" }
.Ed
.Pp
A TCP port for other machines:
.Bd -literal -offset indent
[http]
address = "0.0.0.0"
certificate_file = "/etc/ffd/node.pem"
key_file = "/etc/ffd/node.key"
tokens_file = "/etc/ffd/tokens"
hosts = ["node.example.com"]
.Ed
.Pp
and a line of
.Pa /etc/ffd/tokens ,
which
.Ql openssl rand -hex 32
made, for one namespace only:
.Bd -literal -offset indent
shop 2f1c7a60d5be4b0f8a3c9d1e6f7a8b9c0d1e2f3a4b5c6d7e8f90a1b2c3d4e5f6 sales
.Ed
.Sh SEE ALSO
.Xr ffctl 1 ,
.Xr ffd-plugin 7 ,
.Xr ffd 8
""".lstrip()


def page() -> str:
    """The whole page, in mdoc(7)."""
    parts = [HEAD, ".Sh KEYS\n"]
    for section, rows in groupby(describe_config(), key=_section):
        parts.append(_part(section, list(rows)))
    return "".join([*parts, TAIL])


def _section(row: Described) -> str:
    """The table that a key stands in."""
    return row.key.rpartition(".")[0]


def _part(section: str, rows: list[Described]) -> str:
    about = ABOUT.get(section.partition(".")[0], "")
    title = f".Ss [{section}]\n" if section else ".Ss Top level\n"
    keys = "".join(_key(row) for row in rows)
    return f"{title}{about + chr(10) if about else ''}.Bl -tag -width Ds\n{keys}.El\n"


def _key(row: Described) -> str:
    unit = f", in {row.unit}" if row.unit and row.unit != "octal" else ""
    literal = row.meaning.split()[0].endswith(":")
    meaning = _escaped(row.meaning if literal else row.meaning[:1].upper() + row.meaning[1:])
    return f".It Va {row.key}\n{meaning}.\n({_escaped(row.type)}{unit}; default {_default(row)})\n"


def _default(row: Described) -> str:
    """What the key has unless it is set: in quotes where it is a text in the file."""
    told = row.default in ("see FILES", "the user's own", "NAME", "none")
    if row.type in ("text", "name") and row.default and not told:
        return f"\\(lq{_escaped(row.default)}\\(rq"
    return _escaped(row.default) or "empty"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
