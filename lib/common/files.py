"""Atomic replacement of a file.

The file always holds the complete old or new content.
"""

import errno
import glob
import os
import secrets
import stat
import time
from contextlib import suppress

ABANDONED = 3600  # seconds after which a temporary file belongs to a writer that was killed
TRIES, PAUSE = 10, 0.1  # Windows refuses to replace a file while another program holds it open


def replace_file(path: str | os.PathLike, data: bytes) -> bool:
    """Put `data` at `path` in one step.

    At every instant the path holds the old content or the new one.

    A symbolic link is followed, and the permissions of an existing file are kept. Temporary files of killed
    writers are removed once they are an hour old.

    Returns
    -------
    bool
        True if the disk confirmed the change of name, or the system cannot check it. If False, the new
        content is in place, but a power cut may bring the old one back.

    Raises
    ------
    OSError, ValueError
        The content could not be written; the old one is untouched. An OSError has the path as `filename`.
    """
    if os.fspath(path).endswith((os.sep, os.altsep or os.sep)):
        reason = "it ends in a slash, so it names a folder: add a file's name"
        raise IsADirectoryError(errno.EISDIR, reason, os.fspath(path))
    try:
        return _replace(os.path.realpath(path), data)
    except OSError as error:
        error.filename = os.fspath(path)  # not the temporary one
        del error.filename2
        raise


def valid_text(text: str) -> str:
    """Return text without bytes that Python could not decode.

    A file name or an argument holds them where the system's encoding is another one, as with ``LANG=C``. They
    are decoded as UTF-8; what remains becomes a replacement character.
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _replace(target: str, data: bytes) -> bool:
    folder, name = os.path.split(target)
    mode = _permissions(target)
    for old in glob.glob(os.path.join(glob.escape(folder), f".{glob.escape(name)}.*.part")):
        with suppress(OSError):  # another writer removed it first
            if time.time() - os.stat(old).st_mtime > ABANDONED:
                os.unlink(old)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.part")
    file = open(temporary, "xb")  # noqa: SIM115  (a file of another writer must not be removed below)
    try:
        with file:
            if mode is not None:
                os.chmod(temporary, mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _rename(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    return _confirm(folder)


def _permissions(target: str) -> int | None:
    """Return the permissions of an existing file.

    A folder or a device must not be replaced.

    Raises
    ------
    OSError
        The path is not a regular file.
    """
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, "a folder is there")
        raise OSError(errno.EINVAL, "not a regular file")
    return stat.S_IMODE(status.st_mode)


def _rename(temporary: str, target: str) -> None:
    for _ in range(TRIES):
        try:
            return os.replace(temporary, target)
        except PermissionError as error:
            reason = error.strerror
            time.sleep(PAUSE)
    raise PermissionError(errno.EACCES, f"{reason}; close any other program that holds the file open")


def _confirm(folder: str) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:  # Windows opens no folders, and one that may be written need not be valid_text
        return isinstance(error, PermissionError)
    try:
        os.fsync(descriptor)
    except OSError as error:
        return error.errno in (errno.EINVAL, errno.ENOTSUP)  # the file system cannot confirm
    finally:
        os.close(descriptor)
    return True
