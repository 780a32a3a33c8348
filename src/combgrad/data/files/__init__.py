"""Files as they were published: fetched, unpacked and read with nothing run from them."""
