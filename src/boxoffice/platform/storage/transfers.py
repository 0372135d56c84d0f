"""Files to and from an object store, in parts: an object may be larger than the memory.

A part is read, signed and sent on its own, so that a failure repeats a part and not the file. An object
appears with its last part, whole.
"""

import asyncio
import os
import xml.etree.ElementTree as ET
from pathlib import Path

from boxoffice.errors import Unavailable
from boxoffice.platform.storage.object_store import ObjectStore

PART_BYTES = 16 * 1024 * 1024
_PARTS_MAX = 10_000
_MEDIA_TYPE = "application/octet-stream"


async def upload(store: ObjectStore, name: str, path: Path, part_bytes: int = PART_BYTES) -> None:
    """Store a file; one object of up to a part, else a multipart upload, aborted on failure."""
    size = await asyncio.to_thread(os.path.getsize, path)
    part_bytes = max(part_bytes, -(-size // _PARTS_MAX))
    if size <= part_bytes:
        await store.put(name, await asyncio.to_thread(path.read_bytes), _MEDIA_TYPE)
        return
    begun = await store.call(
        "POST", name, headers={"content-type": _MEDIA_TYPE}, query={"uploads": ""}
    )
    upload_id = ET.fromstring(begun.body).findtext("{*}UploadId")  # noqa: S314 - our own store
    if not upload_id:
        raise Unavailable("The object store began no upload.")
    try:
        await _upload_parts(store, name, upload_id, path, size, part_bytes)
    except BaseException:
        # Parts of an upload that is never completed are kept, and cost money.
        await store.call("DELETE", name, query={"uploadId": upload_id}, expected={404})
        raise


async def _upload_parts(
    store: ObjectStore, name: str, upload_id: str, path: Path, size: int, part_bytes: int
) -> None:
    tags = []
    for number, start in enumerate(range(0, size, part_bytes), 1):
        query = {"partNumber": str(number), "uploadId": upload_id}
        part = await asyncio.to_thread(_read, path, start, part_bytes)
        reply = await store.call("PUT", name, part, query=query)
        tags.append((number, reply.headers.get("etag", "")))
    root = ET.Element("CompleteMultipartUpload")
    for number, tag in tags:
        element = ET.SubElement(root, "Part")
        ET.SubElement(element, "PartNumber").text = str(number)
        ET.SubElement(element, "ETag").text = tag
    reply = await store.call("POST", name, ET.tostring(root), query={"uploadId": upload_id})
    # A store may begin to answer 200 before it knows that it fails.
    if b"<Error" in reply.body:
        raise Unavailable("The object store did not complete an upload.")


async def download(store: ObjectStore, name: str, path: Path, part_bytes: int = PART_BYTES) -> bool:
    """Write an object into a file; return False where there is none."""
    size = await store.size(name)
    if size is None:
        return False
    await asyncio.to_thread(path.write_bytes, b"")
    for start in range(0, size, part_bytes):
        end = min(start + part_bytes, size) - 1
        reply = await store.call("GET", name, headers={"range": f"bytes={start}-{end}"})
        if len(reply.body) != end - start + 1:
            raise Unavailable(f"The object store answered with another part of {name}.")
        await asyncio.to_thread(_append, path, reply.body)
    return True


def _read(path: Path, start: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(length)


def _append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)
