"""Images of handwritten digits: MNIST, and a small set in the package that stands in for it."""
