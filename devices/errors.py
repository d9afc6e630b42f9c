"""The errors and warnings of the device package: each message says who, what, and the way out."""


class DeviceError(ValueError):
    """A device is described or used in a way that cannot exist."""


class CardError(DeviceError):
    """A card is missing, malformed, or names something that no device knows."""


class UnverifiedCardWarning(UserWarning):
    """A card holds numbers that nobody has read in a source yet (tag "memory")."""


class OutsideValidityWarning(UserWarning):
    """A device is used outside the range in which the numbers of its card were obtained."""
