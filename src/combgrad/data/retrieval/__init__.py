"""Images of many classes, of which those of the test are never trained on."""
