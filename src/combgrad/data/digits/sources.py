"""Where handwritten digits come from: the package itself, or the files of MNIST."""

from pathlib import Path

from torch import Tensor

from combgrad.data.base import Source
from combgrad.data.digits import images
from combgrad.data.splits import sha256_of


class StandIn(Source):
    """The optical digits in the package."""

    name = "stand-in"
    choice = "data=digits"

    def __init__(self, path: Path | None, url: str | None) -> None:
        del path, url

    @property
    def fingerprint(self) -> str:
        """Of the file in the package."""
        return sha256_of(self.name.encode(), images.stand_in_digest().encode())

    def images(self) -> Tensor:
        """All images (N, 784) in [0, 1]."""
        return images.stand_in()


class Original(Source):
    """MNIST at or below `path`, or downloaded there."""

    name = "original"
    choice = "data=mnist"
    needs = "the folder that holds mnist"
    downloads = True
    words = (images.TORCHVISION,)

    def __init__(self, path: Path | None, url: str | None) -> None:
        self.path, self.url = path, url

    def _files(self) -> list[Path]:
        assert self.path is not None  # checked when the source was chosen
        return images.find_mnist(self.path, self.url)

    @property
    def fingerprint(self) -> str:
        """Of what the files must be; raises DataFileError or DownloadError where one is missing."""
        self._files()
        plain = (checksums[1].encode() for checksums in images.MNIST_FILES.values())
        return sha256_of(self.name.encode(), *plain)

    def images(self) -> Tensor:
        """All images (N, 784) in [0, 1]; raises DataFileError."""
        return images.read_mnist(self._files())
