"""What the encoding of a variable says of it beside xarray's own words."""

from typing import Final

# The variable's values are not decoded: these attributes decode them (CF conventions 2.5.1, 4.4
# and 8.1), fill values in the type of the values.
AS_STORED: Final = "as_stored"
