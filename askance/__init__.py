"""Askance for programs that use a running service: `from askance.client import Client, AsyncClient`.

`askance.client` is the only module here, and what its `__all__` lists is what other programs may rely on. The service
itself is in the packages beside this one, whose insides may change with any version.
"""

__all__ = ["client"]
