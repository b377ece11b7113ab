"""What this kernel lacks, found out by asking it: never by a test that failed."""

import ctypes
import errno
import functools
import os
import socket
import subprocess

import pytest

from . import linux

_FAN_REPORT_MNT = 0x4000
_SYS_FANOTIFY_INIT = 300

_libc = ctypes.CDLL(None, use_errno=True)


@functools.cache
def has_mount_events() -> bool:
    """Whether fanotify tells of mounts (FAN_REPORT_MNT, Linux 6.15)."""
    group = _libc.syscall(_SYS_FANOTIFY_INIT, _FAN_REPORT_MNT, 0)
    if group < 0:
        return ctypes.get_errno() != errno.EINVAL
    os.close(group)
    return True


@functools.cache
def has_mptcp() -> bool:
    """Whether it is built with MPTCP."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, linux.IPPROTO_MPTCP).close()
    except OSError as error:
        return error.errno not in (errno.EPROTONOSUPPORT, errno.EINVAL)
    return True


@functools.cache
def has_inet_tables() -> bool:
    """Whether nf_tables knows the family inet."""
    asked = subprocess.run(
        ["unshare", "--net", "nft", "add table inet asked"], capture_output=True, check=False
    )
    return asked.returncode == 0


needs_mount_events = pytest.mark.skipif(
    not has_mount_events(), reason="NOT TESTED: this kernel has no fanotify mount events"
)
needs_mptcp = pytest.mark.skipif(not has_mptcp(), reason="NOT TESTED: this kernel has no MPTCP")
