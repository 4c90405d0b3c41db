"""Hostile archives."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from good_adapter import CONFIG, WEIGHTS, Case, files

Member = tuple[str, bytes]


def good() -> list[Member]:
    return list(files().items())


def packed(name: str, kind: str, content: Callable[[], bytes], says: str) -> Case:
    """An archive of these bytes."""

    def build(folder: Path) -> Path:
        folder.mkdir(parents=True)
        path = folder / f"adapter{kind}"
        path.write_bytes(content())
        return path

    return Case(name, build, says)


def tar(members: Iterable[Member | tarfile.TarInfo], form: int = tarfile.USTAR_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        for member in members:
            info, content = (
                (member, b"") if isinstance(member, tarfile.TarInfo) else (tarfile.TarInfo(member[0]), member[1])
            )
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def noted(**headers: str) -> bytes:
    """A tar whose first file has a note of its own."""
    info = tarfile.TarInfo(CONFIG)
    info.pax_headers = {key.replace("__", "."): value for key, value in headers.items()}
    return tar([info, *good()[1:]], tarfile.PAX_FORMAT)


def in_tar(name: str, says: str, *more: Member | tarfile.TarInfo) -> Case:
    """A sound adapter in a tar, and more."""
    return packed(f"tar: {name}", ".tar", lambda: tar([*good(), *more]), says)


def zipped(members: Iterable[Member | tuple[zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content, None if isinstance(name, zipfile.ZipInfo) else method)
    return made.getvalue()


def in_zip(name: str, says: str, *more: Member) -> Case:
    return packed(f"zip: {name}", ".zip", lambda: zipped([*good(), *more]), says)


def of_mode(name: str, mode: int, content: bytes) -> bytes:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return zipped([*good(), (info, content)])


def changed(old: bytes, new: bytes, count: int = -1) -> Callable[[], bytes]:
    """A zip with bytes of its directory replaced."""

    def made() -> bytes:
        whole = zipped(good())
        assert old in whole
        at = whole.rindex(old)
        return whole.replace(old, new) if count < 0 else whole[:at] + new + whole[at + len(old) :]

    return made


def one_stream(members: int) -> bytes:
    """Many members of a zip that are all the same bytes of it."""
    content = zlib.compress(bytes(1 << 20), 9)[2:-4]
    checksum = zlib.crc32(bytes(1 << 20))
    name = WEIGHTS.encode()
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, checksum, len(content), 1 << 20, len(name), 0)
    body = local + name + content
    entry = struct.pack(
        "<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 0, checksum, len(content), 1 << 20, len(name), 0, 0, 0, 0, 0, 0
    )
    directory = (entry + name) * members
    return body + directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, members, members, len(directory), len(body), 0)


def bomb(pack: Callable[[bytes], bytes], size: int) -> Callable[[], bytes]:
    """A tar whose weights are zeros."""

    def made() -> bytes:
        info = tarfile.TarInfo(WEIGHTS)
        info.size = size
        return pack(info.tobuf(tarfile.USTAR_FORMAT) + bytes(size))

    return made


def hole(folder: Path) -> Path:
    """A tar that takes no room on the disk."""
    folder.mkdir(parents=True)
    info = tarfile.TarInfo("more")
    info.size = (8 << 30) - 512
    path = folder / "adapter.tar"
    path.write_bytes(info.tobuf(tarfile.USTAR_FORMAT))
    os.truncate(path, 8 << 30)
    return path


def xz_memory() -> bytes:
    """A dictionary of 1.5 GiB, which an unpacker would have to make."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 4096}]
    whole = bytearray(lzma.compress(tar(good()), lzma.FORMAT_XZ, filters=filters))
    assert whole[14:16] == b"\x21\x01"  # the filter, and the length of what it is told
    whole[16] = 38
    whole[20:24] = zlib.crc32(whole[12:20]).to_bytes(4, "little")
    return bytes(whole)


CASES = [
    in_tar("a climbing name", "no name for a file", ("../evil", b"x")),
    in_tar("a climbing name of the weights", "no name for a file", (f"../{WEIGHTS}", b"x")),
    in_tar("a climb within", "no name for a file", (f"a/../../{CONFIG}", b"x")),
    in_tar("an absolute name", "no name for a file", ("/tmp/evil", b"x")),
    in_tar("a backslash", "no name for a file", ("..\\evil", b"x")),
    in_tar("a drive", "no name for a file", ("C:evil", b"x")),
    in_tar("a stream of a file", "no name for a file", (f"{CONFIG}:evil", b"x")),
    in_tar("an escape in a name", "no name for a file", ("a\x1b[2J", b"x")),
    in_tar("a line break in a name", "no name for a file", ("a\nb", b"x")),
    in_tar("a turned name", "no name for a file", ("a\u202eb", b"x")),
    in_tar("a dot at the end", "no name for a file", ("evil.", b"x")),
    in_tar("a blank at the end", "no name for a file", ("evil ", b"x")),
    in_tar("a file twice", "twice", (CONFIG, b"{}")),
    in_tar("a file twice by a dot", "twice", (f"./{CONFIG}", b"{}")),
    in_tar("names that differ by case", "twice", (CONFIG.upper(), b"{}")),
    in_tar("names that differ by form", "twice", ("\ufb01le", b""), ("file", b"")),
    in_tar("a symbolic link", "neither a file", special("more", tarfile.SYMTYPE, "/etc/passwd")),
    in_tar("a link over a file", "neither a file", special(CONFIG, tarfile.SYMTYPE, "/etc/passwd")),
    in_tar("a hard link", "neither a file", special("more", tarfile.LNKTYPE, "/etc/passwd")),
    in_tar("a device", "neither a file", special("more", tarfile.CHRTYPE)),
    in_tar("a disk", "neither a file", special("more", tarfile.BLKTYPE)),
    in_tar("a pipe", "neither a file", special("more", tarfile.FIFOTYPE)),
    in_tar("a file with holes", "neither a file", special("more", tarfile.GNUTYPE_SPARSE)),
    in_tar("a kind of its own", "neither a file", special("more", b"Z")),
    in_tar("two adapters", "several adapters", (f"other/{CONFIG}", b"{}")),
    in_tar("11,000 files", "10,000", *((f"f{i}", b"") for i in range(11_000))),
    packed("tar: a long name", ".tar", lambda: tar([("a" * 200, b""), *good()], tarfile.GNU_FORMAT), "100 characters"),
    packed("tar: another path in a note", ".tar", lambda: noted(path="../evil"), "in a note"),
    packed("tar: another size in a note", ".tar", lambda: noted(size="999999999"), "in a note"),
    packed("tar: a link's target in a note", ".tar", lambda: noted(linkpath="/etc"), "in a note"),
    packed("tar: holes in a note", ".tar", lambda: noted(GNU__sparse__major="1"), "in a note"),
    packed("tar: a note of a megabyte", ".tar", lambda: noted(comment="a" * (1 << 20)), "too long"),
    packed("tar: cut short", ".tar", lambda: tar(good())[:1500], "cut short"),
    packed("tar: no end", ".tar", lambda: tar(good())[:-9216], "cut short"),
    packed("tar: something behind it", ".tar", lambda: tar(good()) + b"PK\3\4", "behind its end"),
    packed("tar: a wrong sum", ".tar", lambda: tar(good()).replace(b"adapter_", b"bdapter_", 1), "damaged"),
    packed(
        "tar: a size of its own kind",
        ".tar",
        lambda: tar(good()).replace(b"00000000", b"\x80\0\0\0\xff\xff\xff\xff", 1),
        "tar archive",
    ),
    packed("tar.gz: a bomb", ".tar.gz", bomb(gzip.compress, 200 << 20), "times its own size"),
    packed(
        "tar.xz: a bomb", ".tar.xz", bomb(lambda whole: lzma.compress(whole, preset=0), 100 << 20), "times its own size"
    ),
    packed(
        "tar.gz: a bomb in what is left aside",
        ".tgz",
        lambda: gzip.compress(tar([("more", bytes(100 << 20))])),
        "times its own size",
    ),
    packed("tar.xz: a dictionary of 1.5 GiB", ".tar.xz", xz_memory, "memory"),
    packed("tar.gz: cut short", ".tar.gz", lambda: gzip.compress(tar(good()))[:-20], "cut short"),
    packed("tar.gz: a wrong checksum", ".tar.gz", lambda: gzip.compress(tar(good()))[:-8] + bytes(8), "damaged"),
    packed("tar.gz: noise", ".tar.gz", lambda: b"\x1f\x8b\x08\0" + bytes(range(256)), "damaged"),
    packed("tar.gz: twice", ".tar.gz", lambda: gzip.compress(tar(good())) * 2, "behind its end"),
    packed("tar.gz: in itself", ".tar.gz", lambda: gzip.compress(gzip.compress(tar(good()))), "cut short|not a tar"),
    packed("tar.xz: cut short", ".tar.xz", lambda: lzma.compress(tar(good()))[:-40], "cut short|damaged"),
    Case("tar: a hole of 8 GB", hole, "almost nothing but zeros"),
    in_zip("a climbing name", "no name for a file", ("../evil", b"x")),
    in_zip("an absolute name", "no name for a file", ("/tmp/evil", b"x")),
    in_zip("a drive", "no name for a file", ("C:/evil", b"x")),
    in_zip("a climbing folder", "no name for a file", ("../evil/", b"")),
    in_zip("names that differ by case", "twice", (CONFIG.upper(), b"{}")),
    in_zip("two adapters", "several adapters", (f"other/{WEIGHTS}", b"")),
    in_zip("11,000 files", "far more files", *((f"f{i}", b"") for i in range(11_000))),
    in_zip("a pickle of PyTorch's", "pickle", ("archive/data.pkl", b"\x80\x04N.")),
    packed(
        "zip: a file twice",
        ".zip",
        changed(WEIGHTS.encode(), b"adapter_config.json\0\0\0\0\0\0"),
        "says other|no name|not a zip|lie over",
    ),
    packed(
        "zip: a symbolic link", ".zip", lambda: of_mode("more", stat.S_IFLNK | 0o777, b"/etc/passwd"), "neither a file"
    ),
    packed("zip: a device", ".zip", lambda: of_mode("more", stat.S_IFCHR | 0o777, b""), "neither a file"),
    packed("zip: a bomb", ".zip", lambda: zipped([*good()[:1], (WEIGHTS, bytes(200 << 20))]), "times its own size"),
    packed("zip: a bomb of one stream", ".zip", lambda: one_stream(5000), "lie over one another"),
    packed(
        "zip: another name inside",
        ".zip",
        changed(CONFIG.encode(), CONFIG[::-1].encode(), 1),
        "says other things|no adapter_config",
    ),
    packed(
        "zip: another name before the file itself",
        ".zip",
        lambda: zipped(good()).replace(CONFIG.encode(), CONFIG[::-1].encode(), 1),
        "says other things",
    ),
    packed(
        "zip: a larger size",
        ".zip",
        changed(struct.pack("<L", len(files()[WEIGHTS])), struct.pack("<L", 1 << 31), 1),
        "another size|at the most|no room|lie over",
    ),
    packed(
        "zip: a wrong checksum", ".zip", changed(struct.pack("<L", zlib.crc32(files()[CONFIG])), bytes(4)), "checksum"
    ),
    packed("zip: bzip2", ".zip", lambda: zipped(good(), zipfile.ZIP_BZIP2), "another way"),
    packed("zip: lzma", ".zip", lambda: zipped(good(), zipfile.ZIP_LZMA), "another way"),
    packed("zip: encrypted", ".zip", changed(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"), "encrypted"),
    packed(
        "zip: of 64 bits", ".zip", lambda: zipped(good())[:-12] + b"\xff" * 8 + b"\0\0\0\0", "more than 4 GB|not a zip"
    ),
    packed("zip: something in front", ".zip", lambda: b"PK\3\4" + zipped(good()), "in front"),
    packed("zip: something behind", ".zip", lambda: zipped(good()) + b"more", "behind"),
    packed("zip: cut short", ".zip", lambda: zipped(good())[:-30], "cut short"),
    packed("zip: empty", ".zip", lambda: zipped([]), "no adapter_model"),
    packed("zip: no configuration", ".zip", lambda: zipped(good()[1:]), "no adapter_config"),
    packed(
        "zip: a folder for the weights", ".zip", lambda: zipped([*good()[:1], (f"{WEIGHTS}/", b"")]), "no adapter_model"
    ),
    packed("7z", ".7z", lambda: b"7z\xbc\xaf\x27\x1c" + bytes(600), "neither a folder nor an archive"),
    packed("zstd", ".tar.zst", lambda: b"\x28\xb5\x2f\xfd" + bytes(600), "neither a folder nor an archive"),
    packed("an empty file", ".zip", lambda: b"", "neither a folder nor an archive"),
]
