"""How checks compare."""


def equal(found, wanted, what=""):
    """Types count too: 1 is neither Decimal(1) nor True."""
    if found != wanted or repr(found) != repr(wanted):
        raise AssertionError(f"{what}\n   found  {found!r}\n   wanted {wanted!r}")
