"""How is a file replaced so that a crash leaves the old one or the new one, whole?"""

import contextlib
import errno
import os
import re
import secrets
import stat
import time

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TRIES = 100


def replace_file(path: str, data: bytes) -> bool:
    """Put `data` at `path`; at every instant the path holds the old content or the new one.

    A symbolic link is followed, an existing file's permissions are kept. What killed writers left behind is
    removed.

    Returns
    -------
    bool
        Whether the disk confirmed the change of name, where the system can be asked. If not, the new content
        is in place, but a power cut may bring the old one back.

    Raises
    ------
    OSError
        The content could not be written; the old one is untouched.
    """
    target = os.path.realpath(path)
    mode = _mode(target)
    folder = _open_folder(os.path.dirname(target))
    try:
        _remove_leftovers(target, folder)
        temporary = os.path.join(
            os.path.dirname(target), f".{os.path.basename(target)}.{secrets.token_hex(8)}.part"
        )
        file = open(temporary, "xb")  # noqa: SIM115  (what is not ours must not be removed below)
        try:
            with file:
                if mode is not None:
                    os.chmod(temporary, mode)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        return _confirm(folder)
    finally:
        if folder is not None:
            os.close(folder)


def _mode(target: str) -> int | None:
    """Permissions of the file that is there; a folder or a device must not be replaced."""
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise OSError("not a regular file" if not stat.S_ISDIR(status.st_mode) else "a folder is there")
    return stat.S_IMODE(status.st_mode)


def _open_folder(folder: str) -> int | None:
    if fcntl is None:
        return None
    try:
        return os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that may be written need not be readable
        return None


def _remove_leftovers(target: str, folder: int | None) -> None:
    """Remove what killed writers left, but nothing of a writer that lives.

    Every writer holds a shared lock on the folder for as long as it has a temporary file; who gets the
    exclusive lock knows that all such files are dead. Where there are no locks they stay: nothing reads them.
    """
    if folder is None:
        return
    ours = re.compile(re.escape(f".{os.path.basename(target)}.") + r"[0-9a-f]{16}\.part")
    with contextlib.suppress(OSError):
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for name in filter(ours.fullmatch, os.listdir(os.path.dirname(target))):
            os.unlink(os.path.join(os.path.dirname(target), name))
    _share(folder)


def _share(folder: int) -> None:
    """Wait for a writer that is cleaning, but not for a stranger who keeps the folder locked."""
    for _ in range(TRIES):
        try:
            return fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            return None


def _confirm(folder: int | None) -> bool:
    if folder is None:
        return True
    try:
        os.fsync(folder)
    except OSError as error:
        return error.errno in (errno.EINVAL, errno.ENOTSUP)  # a file system that has no answer
    return True
