"""Archives and pictures that tests of data sets are read from."""

import io
import tarfile
import zipfile

import numpy as np
from PIL import Image


def picture(width, height, kind):
    """The bytes of a picture whose red grows with x and green with y."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    pixels = np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


def write_tar(archive, files, mode="w"):
    with tarfile.open(archive, mode) as bundle:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            bundle.addfile(member, io.BytesIO(content))


def write_zip(archive, files):
    with zipfile.ZipFile(archive, "w") as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)


def points_of(collection, number):
    marked = collection.marked
    rows = marked.rows(number)
    return dict(zip(marked.labels[rows].tolist(), marked.points[rows].tolist(), strict=True))
