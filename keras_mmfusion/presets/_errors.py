"""The one exception of the presets."""


class PresetError(ValueError):
    """A preset is unknown, damaged, refused, or cannot be written."""
