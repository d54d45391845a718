"""IVOA image services on a Butler repository.

Point it at a repository: ObsCore export, TAP, SIAv2, DataLink and SODA run.
Importing this package loads no heavy library; each room loads its own.
"""

__version__ = "0.1.0"
