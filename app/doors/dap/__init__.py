"""OPeNDAP: DAP2 and DAP4, as clients of netCDF-C, pydap and xarray speak them."""
