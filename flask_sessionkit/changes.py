"""What one request changed, and how it is laid over what is there now."""

from __future__ import annotations

from collections.abc import Mapping

from .discreet import DiscreetStruct


class Changes(DiscreetStruct, frozen=True):
    """One request's own changes to a session's data. Values are encoded.

    :param base: what the request loaded.
    :param put: keys that it added or changed.
    :param removed: keys that it loaded and removed.
    :param cleared: nothing that is there now may stay, whoever wrote it.
    :param own: all that it set, also to what was there.
    """

    base: Mapping[str, bytes] = {}  # a Struct copies it for each instance
    put: Mapping[str, bytes] = {}
    removed: frozenset[str] = frozenset()
    cleared: bool = False
    own: Mapping[str, bytes] = {}

    def __repr__(self) -> str:
        # No values: reporters of errors show the variables of a frame. So with the others that carry data.
        return f"<Changes: {len(self.put)} put, {len(self.removed)} removed>"

    def __bool__(self) -> bool:
        return bool(self.put or self.removed or self.cleared)

    def reaches(self, key: str) -> bool:
        """Return whether these change a key, be it by taking all away."""
        return self.cleared or key in self.put or key in self.removed

    def over(self, current: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the data as it should be saved, given what is there now.

        A removal wins, whoever made it: a key that was there when this request loaded and is gone now stays gone.
        """
        if self.cleared:
            return dict(self.put)
        merged = dict(current)
        for key in self.removed:
            merged.pop(key, None)
        for key, value in self.put.items():
            if key in current or key not in self.base:
                merged[key] = value
        return merged

    def contested(self, current: Mapping[str, bytes]) -> list[str]:
        """Return the keys that this request and another one both changed, and where this one wins."""
        return [
            key
            for key, value in self.put.items()
            if key in current and current[key] != self.base.get(key) and current[key] != value
        ]
