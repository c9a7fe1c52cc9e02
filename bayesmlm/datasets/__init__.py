"""Example data that ship with the package; sources and licences are in ``SOURCES.md`` beside the files."""

from .loader import dataset_names, load_dataset

__all__ = ["dataset_names", "load_dataset"]
