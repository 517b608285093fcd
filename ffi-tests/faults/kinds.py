"""The faults: which calls, and what becomes of them."""

import errno

# What a full disk, a broken one, spent descriptors or spent memory answer; and a signal.
_ERRORS = [
    ("write", "ENOSPC"), ("write", "EDQUOT"), ("write", "EINTR"),
    ("fsync", "EIO"), ("renameat", "EIO"), ("unlinkat", "EACCES"),
    ("openat", "EMFILE"), ("openat", "EACCES"), ("openat", "EINTR"), ("mkdirat,mkdir", "EROFS"),
    ("fallocate", "ENOSPC"), ("fallocate", "EINTR"), ("mmap", "ENOMEM"), ("fcntl", "ENOLCK"),
    ("read", "EIO"), ("read", "EINTR"), ("pread64", "EIO"), ("pread64", "EINTR"),
    ("getdents64", "EIO"), ("fstat,newfstatat", "EIO"), ("clone3,clone", "EAGAIN"), ("membarrier", "ENOSYS"),
]
_NETWORK_ERRORS = [
    ("socket", "EMFILE"), ("connect", "ECONNREFUSED"), ("connect", "EINTR"),
    ("sendto,sendmsg", "EPIPE"), ("sendto,sendmsg", "EINTR"),
    ("recvfrom,recvmsg", "ECONNRESET"), ("recvfrom,recvmsg", "EINTR"),
]  # fmt: skip
# From the n-th call on: the disk stays full, the receiver away.
_FOREVER = [
    ("write", "ENOSPC"), ("fsync", "EIO"), ("renameat", "EIO"), ("unlinkat", "EACCES"), ("openat", "EMFILE"),
    ("fallocate", "ENOSPC"), ("fcntl", "ENOLCK"), ("getdents64", "EIO"),
]  # fmt: skip
_SHORT = [("write", None), ("read", None), ("pread", None), ("write", "ENOSPC"), ("write", "KILL")]
_NETWORK_SHORT = [("send", None), ("recv", None), ("send", "KILL")]


class Kind:
    """A kind of fault: `calls` fail with `error` at the n-th of them, or are short there."""

    def __init__(self, calls, error, remote=False, forever=False, short=False):
        self.calls, self.error, self.remote, self.forever, self.short = calls, error, remote, forever, short
        self.kills = error == "KILL"
        # Neither is a failure: whoever is told so goes on, and nothing has gone wrong.
        self.harmless = short and not error or error == "EINTR" and calls in ("write", "read", "fallocate", "sendto,sendmsg")

    def __str__(self):
        words = [self.calls, "short" if self.short else "", self.error or "", "from there on" if self.forever else ""]
        return " ".join(word for word in words if word) + (", remote" if self.remote else "")

    def strace(self, n):
        """As strace is told it."""
        action = "signal=KILL" if self.kills else "error=" + self.error
        return "inject=%s:%s:when=%d%s" % (self.calls, action, n, "+" if self.forever else "")

    def shim(self, n):
        """As the shim is told it."""
        variables = {"SHIM_CALL": self.calls, "SHIM_AT": str(n)}
        if self.error:
            variables["SHIM_THEN"] = "-1" if self.kills else str(getattr(errno, self.error))
        return variables


def all_kinds(files_of_both):
    """Every kind. Files are written with a receiver and without one: `files_of_both` takes both."""
    kinds, killing = [], set()

    def add(calls, error, remote, **how):
        kinds.append(Kind(calls, error, remote, **how))
        if not how and (calls, remote) not in killing:
            killing.add((calls, remote))
            kinds.append(Kind(calls, "KILL", remote))

    for remote in (False, True) if files_of_both else (False,):
        for calls, error in _ERRORS:
            add(calls, error, remote)
        for calls, error in _FOREVER:
            add(calls, error, remote, forever=True)
        for calls, error in _SHORT:
            add(calls, error, remote, short=True)
    for calls, error in _NETWORK_ERRORS:
        add(calls, error, True)
    add("connect", "ECONNREFUSED", True, forever=True)
    for calls, error in _NETWORK_SHORT:
        add(calls, error, True, short=True)
    return kinds
