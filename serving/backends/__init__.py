"""One file per runtime, each a `loop.domain.ports.Detector`."""
