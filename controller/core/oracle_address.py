"""Where an Oracle login leads, in the words of python-oracledb's connect()."""

from __future__ import annotations

import re

from controller.core.model import Login


def oracle_target(login: Login) -> dict[str, str | int]:
    """A JDBC url names the database in Oracle's own syntax, but for `host:port:SID`."""
    if login.url is None:
        return {"host": login.host, "port": login.port, "service_name": login.database}
    dsn = re.sub(r"^jdbc:oracle:\w+:[^@]*@", "", login.url.reveal())
    sid = re.fullmatch(r"(?://)?(?P<host>[^:/()]+):(?P<port>\d+):(?P<sid>\w+)", dsn)
    if sid is None:
        return {"dsn": dsn}
    return {"host": sid["host"], "port": int(sid["port"]), "sid": sid["sid"]}
