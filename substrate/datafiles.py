"""Where shipped data lies: one function that finds it in a checkout and in an installed wheel."""

from pathlib import Path

from substrate.errors import DataError

_PACKAGE = Path(__file__).resolve().parent


def data_path(*parts: str) -> Path:
    """Return the path of a shipped file or folder, such as `data_path("datasets", "digits.npz")`.

    In an installed wheel shipped files lie in `substrate/_data`; in a checkout (and so in an editable install) they
    are those of `data/`, and `examples/` of the checkout's root. Device cards belong to `devices`, which finds them
    itself.

    Args:
        parts: names of folders and a file, below `data/`; none gives the folder itself.

    Raises:
        DataError: there is no such file; the message lists what lies beside it.

    >>> data_path("datasets", "digits.npz").name
    'digits.npz'
    """
    roots = _roots(parts[0] if parts else "")
    for root in roots:
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise DataError(_complaint("/".join(parts), roots, parts))


def _roots(folder: str) -> list[Path]:
    """Folders that may hold `folder`, the likeliest first."""
    checkout = _PACKAGE.parent
    if not (checkout / "pyproject.toml").is_file():  # installed: never look at a `data` folder of another package
        own = [_PACKAGE / "_data"]
        # Cards are shipped once, beside the package that checks them; reading the files needs no import of it.
        return [*own, checkout / "devices" / "_data"] if folder == "media" else own
    return [checkout if folder == "examples" else checkout / "data"]


def _complaint(wanted: str, roots: list[Path], parts: tuple[str, ...]) -> str:
    """What is missing, what is there, and the way out."""
    for root in roots:
        folder = root.joinpath(*parts[:-1])
        if folder.is_dir():
            names = ", ".join(sorted(entry.name for entry in folder.iterdir())) or "nothing"
            return f"shipped data {wanted!r} not found: {folder} holds {names}"
    looked = ", ".join(str(root) for root in roots)
    return (
        f"shipped data {wanted!r} not found in {looked}: the installation is incomplete, install wave-substrate again"
    )
